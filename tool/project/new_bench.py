#!/usr/bin/python3
"""Measures `grove new` and `grove update` beside what a user would take instead.

    GROVE_ROOT=… tool/project/new_bench.py build/release/bin/grove [--with LEAF,…] [--pairs 15] [--build]

new       `grove new` without building, and Debian's cookiecutter on a template
          with the same files; cookiecutter only copies them, which flatters it.
update    `grove update` with an edit of the user's and a newer leaf, and the
          bare `git merge-file` of the one file that both changed.
--build   `grove new` with building, and the same cmake, ninja and ctest by
          hand, without a compiler cache: what Grove adds to the compiler's time.

Runs alternate A B A B in one session. For each, the median of wall time and of
processor time, and the peak memory of the process; for both, the median of the pairs' ratios with the
2nd lowest and highest. Exit status 1 when a bar doesn't hold.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

LEAVES = [
    "systems/kernel/memory/page-tables",
    "network/messaging/clients/nats",
    "data/database/storage/lsm",
    "web/frontend/frameworks/signals",
    "game/engine/ecs",
    "chain/cryptography/hashing",
    "ml/data/arrays",
    "security/crypto/key-management",
]


def run(command, cwd, env=None):
    """Wall seconds, peak KiB and processor seconds of a command that must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {process.returncode}\n{error.decode(errors='replace')}")
    return seconds, usage.ru_maxrss, usage.ru_utime + usage.ru_stime


def alternate(pairs, first, second):
    """Each is called before every pair to prepare, and gives (command, folder, environment)."""
    results = ([], [])
    for _ in range(pairs):
        for function, taken in zip((first, second), results):
            parts = [run(*step) for step in function()]
            taken.append((sum(p[0] for p in parts), max(p[1] for p in parts), sum(p[2] for p in parts)))
    return results


def report(name, pairs, ours_name, theirs_name, ours, theirs):
    """Prints both medians and the ratio theirs/ours."""
    for label, taken in ((ours_name, ours), (theirs_name, theirs)):
        ms = statistics.median(t[0] for t in taken) * 1000
        cpu = statistics.median(t[2] for t in taken) * 1000
        print(f"{name:8} {label:40} {ms:10.1f} ms {cpu:10.1f} ms of processor {max(t[1] for t in taken) / 1024:8.1f} MiB")
    ratios = sorted(b[0] / a[0] for a, b in zip(ours, theirs))
    edge = 1 if pairs > 4 else 0
    middle = statistics.median(ratios)
    print(f"{name:8} ratio {middle:.2f} ({ratios[edge]:.2f} to {ratios[-1 - edge]:.2f}), {pairs} pairs")
    return statistics.median(t[0] for t in ours) * 1000, middle


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grove", type=pathlib.Path)
    parser.add_argument("--with", dest="leaves", default=",".join(LEAVES))
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--build", action="store_true")
    arguments = parser.parse_args()
    grove = arguments.grove.resolve()
    root = pathlib.Path(os.environ.get("GROVE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
    os.environ["GROVE_ROOT"] = str(root)
    if shutil.which("cookiecutter", path="/usr/bin") is None:
        sys.exit("cookiecutter is missing: apt-get install cookiecutter")
    held = True

    def bar(text, holds):
        nonlocal held
        held = held and holds
        print(f"{'holds' if holds else 'FAILS':8} {text}\n")

    with tempfile.TemporaryDirectory(prefix="grove-new-bench-") as folder:
        folder = pathlib.Path(folder)
        for name in ("a", "b", "c", "d"):
            (folder / name).mkdir()
        new = [grove, "new", "shop", "--with", arguments.leaves, "--no-install"]

        # new, without building
        run(new + ["--no-build"], folder)
        files = sum(1 for p in (folder / "shop").rglob("*") if p.is_file())
        print(f"{len(arguments.leaves.split(','))} leaves, {files} files, {os.cpu_count()} processors, "
              f"load {os.getloadavg()[0]:.1f} (wall times mean little when it is above the processors)\n")
        template = folder / "template"
        shutil.copytree(folder / "shop", template / "{{cookiecutter.name}}")
        (template / "cookiecutter.json").write_text('{"name": "shop", "_copy_without_render": ["*"]}')
        environment = os.environ | {"HOME": str(folder)}

        def by_grove():
            shutil.rmtree(folder / "a" / "shop", ignore_errors=True)
            return [(new + ["--no-build"], folder / "a")]

        def by_cookiecutter():
            shutil.rmtree(folder / "b" / "shop", ignore_errors=True)
            return [(["/usr/bin/cookiecutter", "--no-input", template], folder / "b", environment)]

        ms, ratio = report("new", arguments.pairs, "grove new --no-build", "cookiecutter --no-input",
                           *alternate(arguments.pairs, by_grove, by_cookiecutter))
        bar("new of the leaves within 40 ms", ms <= 40)
        bar("at least 8 times as fast as cookiecutter", ratio >= 8)

        # update: the user's edit and a newer leaf, in a map of its own
        own = folder / "map"
        for part in ("cmake", "grove"):
            shutil.copytree(root / part, own / part, ignore=shutil.ignore_patterns("peer", "target"))
        first = next(l for l in arguments.leaves.split(","))
        if not (own / "grove" / first).is_dir():
            first = next(p.parent.relative_to(own / "grove").as_posix()
                         for p in (own / "grove").rglob("leaf.toml") if p.parent.name == first)
        touched = pathlib.Path("grove") / first / "CMakeLists.txt"
        base = (own / touched).read_text()
        in_map = os.environ | {"GROVE_ROOT": str(own)}
        run(new + ["--no-build"], folder / "c", in_map)
        (own / touched).write_text(base + "# newer\n")
        mine = folder / "c" / "shop" / touched
        mine.write_text("# mine\n" + base)
        (folder / "base").write_text(base)

        def by_update():
            shutil.rmtree(folder / "d" / "shop", ignore_errors=True)
            shutil.copytree(folder / "c" / "shop", folder / "d" / "shop")
            return [([grove, "update"], folder / "d" / "shop", in_map)]

        def by_git():
            return [(["git", "merge-file", "-p", mine, folder / "base", own / touched], folder)]

        ms, _ = report("update", arguments.pairs, "grove update", "git merge-file, the one file (bound)",
                       *alternate(arguments.pairs, by_update, by_git))
        assert (folder / "d" / "shop" / touched).read_text() == "# mine\n" + base + "# newer\n"
        bar("update within 100 ms", ms <= 100)

        if arguments.build:
            uncached = os.environ | {"CCACHE_DISABLE": "1"}
            pairs = min(arguments.pairs, 3)

            def whole():
                shutil.rmtree(folder / "a" / "shop", ignore_errors=True)
                return [(new, folder / "a", uncached)]

            def by_hand():
                shop = folder / "b" / "shop"
                shutil.rmtree(shop, ignore_errors=True)
                shutil.copytree(folder / "shop", shop)
                return [(["cmake", "--preset", "release"], shop, uncached),
                        (["cmake", "--build", "--preset", "release"], shop, uncached),
                        (["ctest", "--preset", "release", "-j", str(os.cpu_count())], shop, uncached)]

            _, ratio = report("build", pairs, "grove new", "cmake, ninja and ctest by hand",
                              *alternate(pairs, whole, by_hand))
            bar("new with building within the compiler's time + 5 %", 1 / ratio <= 1.05)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

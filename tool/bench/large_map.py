#!/usr/bin/env python3
"""Measures `grove find` on a generated map of 100,000 leaves (or as many as the first argument says).

Prints: the time and peak memory of the first find, which builds the index; the
median and peak of finds with the index cached. Bars: 10 s, 500 MB, 50 ms, 20 MiB
of memory that is not the mapped index.
"""
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
grove = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(__file__), "../../build/release/bin/grove")

random.seed(7)
letters = "abcdefghijklmnopqrstuvwxyz"
words = ["".join(random.choices(letters, k=random.randint(3, 10))) for _ in range(20_000)]
han = [chr(c) for c in range(0x4E00, 0x4E00 + 3000)]


han_words = ["".join(random.choices(han, k=random.choice((1, 2, 2, 2, 3, 4)))) for _ in range(8_000)]


def pick(vocabulary):
    # Zipf-like: a few words are everywhere, as in real text.
    return vocabulary[min(int(random.paretovariate(0.6)) - 1, len(vocabulary) - 1)]


def english(n):
    return " ".join(pick(words) for _ in range(n))


def chinese(n):
    text = ""
    while len(text) < n:
        text += pick(han_words)
    return text[:n]


LEAF = """kind = "leaf"
maps-to = "{crate}"
maturity = "usable"
boundary = "{boundary}"
[title]
en = "{title}"
zh = "{title_zh}"
[summary]
en = "{summary}"
zh = "{summary_zh}"
[keywords]
en = [{keywords}]
zh = ["{kz1}", "{kz2}"]
[library]
name = "own"
licence = "Apache-2.0"
reason = "{reason}"
[packages]
debian = []
prove = []
vcpkg = []
conan = []
[[alternative]]
name = "{alternative}"
reason = "{why}"
[proof]
against = ["{proof}"]
"""


def generate(root):
    per_branch = 100
    for t in range(8):
        tree = f"{root}/grove/t{t}"
        os.makedirs(tree)
        branches = range(t, (count + per_branch - 1) // per_branch, 8)
        with open(f"{tree}/tree.toml", "w") as f:
            f.write(
                f'order = {t}\nmaturity = "usable"\nkey-crates = []\ntitle = {{ en = "tree {t}", zh = "树" }}\n'
                'summary = { en = "s", zh = "总" }\nflagship = { name = "f", summary = { en = "f", zh = "旗" } }\n'
            )
            for b in branches:
                f.write(f'[branch."b{b}"]\nen = "{english(2)}"\nzh = "{chinese(4)}"\n')
        for b in branches:
            for i in range(b * per_branch, min((b + 1) * per_branch, count)):
                leaf = f"{tree}/b{b}/leaf{i}"
                os.makedirs(leaf)
                with open(f"{leaf}/leaf.toml", "w") as f:
                    f.write(
                        LEAF.format(
                            crate=english(2), boundary=english(8), title=english(3), title_zh=chinese(5),
                            summary=english(55), summary_zh=chinese(90),
                            keywords=", ".join(f'"{english(2)}"' for _ in range(8)),
                            kz1=chinese(3), kz2=chinese(4), reason=english(15), alternative=english(1),
                            why=english(10), proof=english(20),
                        )
                    )


def timed(arguments, environment):
    """Wall seconds and peak resident bytes of one run."""
    read, write = os.pipe()
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        process = subprocess.run(arguments, env=environment, stdout=subprocess.DEVNULL)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        os.write(write, f"{peak} {process.returncode}".encode())
        os._exit(0)
    os.close(write)
    text = os.read(read, 100).decode()
    os.close(read)
    os.waitpid(pid, 0)
    peak, code = map(int, text.split())
    if code not in (0, 1):
        sys.exit(f"{arguments} exited {code}")
    return time.perf_counter() - start, peak


# In memory where that is possible: the disk is not what is measured.
with tempfile.TemporaryDirectory(prefix="grove-large-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
    generate(directory)
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(directory) for f in files)
    environment = dict(os.environ, GROVE_ROOT=directory, XDG_CACHE_HOME=f"{directory}/cache")
    print(f"figure leaves {count} leaves")
    print(f"figure leaf-bytes {size / count:.0f} B")
    seconds, peak = timed([grove, "find", words[3]], environment)
    print(f"figure index-build {seconds:.2f} s")
    print(f"figure index-build-peak {peak / 1e6:.0f} MB")
    for name, query in {"rare": [words[900], words[1200]], "common": [words[0], words[1]], "chinese": [next(w for w in han_words[40:] if len(w) == 2)]}.items():
        runs = sorted(timed([grove, "find", *query], environment) for _ in range(15))
        # subprocess.run itself costs a millisecond or two: these are upper bounds.
        print(f"figure find-{name} {runs[7][0] * 1e3:.1f} ms")
        print(f"figure find-{name}-peak {max(p for _, p in runs) / 2**20:.1f} MiB")

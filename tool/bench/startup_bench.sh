#!/bin/sh
# Whole-process time and peak memory of the commands that a person waits for,
# through the launcher, against their bars. Medians of RUNS (31) runs.
#   tool/bench/startup_bench.sh [PROGRAM]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:-$root/bin/grove}
runs=${RUNS:-31}
"$program" --version >/dev/null # built by now
exec python3 - "$program" "$runs" <<'PYTHON'
import os, statistics, subprocess, sys, time

program, runs = sys.argv[1], int(sys.argv[2])
leaf = "data/database/storage/lsm"
bars = [(["--version"], 5), (["find", "lsm"], 10), (["find", "调度"], 10), (["show", leaf], 10), (["tree"], 10)]
missed = False


def peak_mib(words):
    # By way of a shell: over exec a process keeps the peak of what it was before, and Python's is large.
    pid = os.posix_spawnp("sh", ["sh", "-c", 'exec "$@" >/dev/null', "sh", program, *words], os.environ)
    return os.wait4(pid, 0)[2].ru_maxrss / 1024


for words, bar in bars:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1000)
    peak = max(peak_mib(words) for _ in range(3))
    median = statistics.median(times)
    holds = done.returncode == 0 and median <= bar and peak <= 20
    missed |= not holds
    print(f"{'holds ' if holds else 'misses'}  {' '.join(words):36} {median:6.1f} ms (bar {bar})  {peak:5.1f} MiB (bar 20)")
sys.exit(missed)
PYTHON

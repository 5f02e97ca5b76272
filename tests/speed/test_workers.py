"""A whole `bench run` of attacks on CIFAR-10 with two workers beside one process, and beside what its attacks took.

Each run is a command of its own, from start to report, without checks; the machine must have two idle cores.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.speed

WORDS = ["--suite", "cifar10", "--images", "200"]
SHARED, OVERHEAD = 0.62, 1.15
TINY = {
    "WORDS": ["--suite", "digits", "--images", "10", "--attack", "fgsm"],
    "SHARED": math.inf, "OVERHEAD": math.inf,
}  # fmt: skip


def run(folder, workers):
    """Return the seconds that a run takes, and those of its cells."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", "run", *WORDS, "--workers", str(workers),
         "--trust", "off", "--json", "--display", "none"],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return seconds, sum(one["seconds"] for one in events if one["event"] == "done")


def test_two_workers_take_little_more_than_half(benchmark, tmp_path):
    taken = {}

    def turn():
        taken.update({workers: run(tmp_path / str(workers), workers) for workers in (1, 2)})

    benchmark.pedantic(turn, rounds=1)
    (alone, cells), (shared, _) = taken[1], taken[2]
    benchmark.extra_info["two workers / one"] = round(shared / alone, 3)
    benchmark.extra_info["command / its cells"] = round(alone / cells, 3)
    print(
        f"\ntwo workers take {shared / alone:.3f} times one, which takes {alone / cells:.3f} times its cells"
    )
    assert shared / alone <= SHARED
    assert alone / cells <= OVERHEAD

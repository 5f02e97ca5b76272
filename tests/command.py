"""The command line as a process, with its two streams and its exit code."""

import os
import subprocess
import sys


def call(*words, cwd, **env):
    """Run `bench` with some words, return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "bench.cli.main", *map(str, words)],
        cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **env},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

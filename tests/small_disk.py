"""A program that runs the stormy suite on disks in memory that are too small, or get read only while it runs.

    python small_disk.py FOLDER DISK      FOLDER has the suite and the results of a calm run, DISK is empty

It mounts them at DISK, so it needs a namespace of its own (`unshare -rm`); it ends with 77 where it may not.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import children
from scenes import stormy_work
from storms import Work

from bench.errors import PrerequisiteError, StoreError

ENDED_WITH_ERROR = 5


def mount(disk: Path, *options: str) -> int:
    words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(disk)]
    return subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode


@contextmanager
def mounted(disk: Path, size: str):
    if mount(disk, f"size={size}"):
        sys.exit(77)
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def error_of(work: Work) -> str:
    """Do some work and return the error that it ends with; empty where it ends well."""
    try:
        work.do()
    except (StoreError, PrerequisiteError) as error:
        return str(error)
    return ""


def too_small(calm: Path, disk: Path) -> int:
    work, failures = stormy_work.of_run(calm, disk / "results"), 0
    for size in ("12k", "24k", "48k", "72k", "96k", "16m"):
        with mounted(disk, size):
            error = error_of(work)
            if error:
                failures += 1
                assert "o space left" in error, error
                assert "free some space" in error, error
            work.sound()
            mount(disk, "remount", "size=16m")
            work.do()
            work.finished()
    return failures


def read_only_from_now_on(calm: Path, disk: Path) -> int:
    work, failures, dice = stormy_work.of_run(calm, disk / "results"), 0, random.Random(0)

    def do() -> None:
        error = error_of(work)
        if error:
            assert "Read-only file system" in error, error
            os._exit(ENDED_WITH_ERROR)

    for _ in range(12):
        with mounted(disk, "16m"):
            pid = children.fork(do)
            time.sleep(dice.uniform(0, 0.15))
            while mount(disk, "remount", "ro"):  # busy: a file is being written
                time.sleep(0.001)
            code = children.wait(pid)
            assert code in (0, ENDED_WITH_ERROR)
            failures += code == ENDED_WITH_ERROR
            work.sound()
            mount(disk, "remount", "rw")
            work.do()
            work.finished()
    return failures


if __name__ == "__main__":
    children.grow_up()
    places = [Path(word) for word in sys.argv[1:]]
    print(too_small(*places), read_only_from_now_on(*places))  # noqa: T201

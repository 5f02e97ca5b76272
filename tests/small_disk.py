"""A program that runs the stormy suite on disks in memory that are too small, or get read only while it runs.

    python small_disk.py FOLDER DISK      FOLDER has the suite and the results of a calm run, DISK is empty

It mounts them at DISK, so it needs a namespace of its own (`unshare -rm`); it ends with 77 where it may not.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import children
from faulty_disk import Turn, faulty
from scenes import stormy_work
from storms import Work

from bench.errors import PrerequisiteError, StoreError


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
    work, failures = stormy_work.of_run(calm, disk / "results"), 0
    for turn in range(1, 130, 16):
        with mounted(disk, "16m"):
            # Where a file is being written the disk is busy, and the next call tries again.
            fault = Turn(turn, lambda call: mount(disk, "remount", "ro") and None, lasts=True)
            fault.arm()
            with faulty([disk], fault):
                error = error_of(work)
            if error:
                failures += 1
                assert "Read-only file system" in error, error
            work.sound()
            mount(disk, "remount", "rw")
            work.do()
            work.finished()
    return failures


if __name__ == "__main__":
    children.grow_up()
    places = [Path(word) for word in sys.argv[1:]]
    print(too_small(*places), read_only_from_now_on(*places))  # noqa: T201

"""Processes whose children are disturbed, each shared by all tests here since it takes seconds to start."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

import children
import pytest
from scenes import stormy, stormy_report


@pytest.fixture(scope="session", autouse=True)
def forks():
    if not hasattr(os, "pidfd_open"):
        pytest.skip("needs processes as Linux has them")


@pytest.fixture(scope="session")
def runner(cache):
    """Return what calls a function in a process that has imported all that a run needs."""
    with children.nursery("torch", "bench.runner.execute", "bench.runner.worker") as executor:
        yield lambda work, *args: executor.submit(work, *args).result()


@pytest.fixture(scope="session")
def reader(cache):
    """Return what calls a function in a process without torch, which forks in a fraction of the time."""
    with children.nursery("bench.store.merge", "bench.report.write") as executor:
        yield lambda work, *args: executor.submit(work, *args).result()


@pytest.fixture(scope="session")
def calm(runner, tmp_path_factory):
    """Return a folder with the suite, and with results that were not disturbed in `calm`."""
    folder = tmp_path_factory.mktemp("stormy")
    runner(_make, folder)
    return folder


def _make(folder):
    suite = stormy.write_suite(folder)
    stormy.run(suite, folder / "calm")
    # In a child: after the first PDF a process has threads, which no child of it would have.
    assert children.run(partial(stormy_report.make, folder)) == 0
    stormy_report.write(folder, stormy_report.SMALL, folder / "report")
    for shard in ("1/2", "2/2"):
        stormy.run(suite, folder / f"shard-{shard[0]}", shard=shard)


@pytest.fixture
def quick(tmp_path):
    """Return a folder on a disk in memory, where there is one: files are made and removed in no time."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)

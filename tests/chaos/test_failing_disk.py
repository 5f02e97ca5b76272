"""A disk that gets full or read only ends a run, a merge or a report with one line, and nothing saved is lost."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import faulty_disk
import pytest
import storms
from scenes import stormy_report, stormy_work
from scenes.stormy_report import SMALL

pytestmark = pytest.mark.slow

FULL, READ_ONLY = faulty_disk.full, faulty_disk.read_only


def fails(fault, step, kind, *places):
    return storms.fails_at_every_write(kind(*places), fault, step)


@pytest.mark.parametrize(("fault", "step", "times"), [(FULL, 3, 30), (READ_ONLY, 7, 12)])
def test_under_a_run(runner, calm, quick, fault, step, times):
    assert runner(fails, fault, step, stormy_work.of_run, calm, quick / "results") > times


@pytest.mark.parametrize(("fault", "step"), [(FULL, 1), (READ_ONLY, 2)])
def test_under_a_merge(reader, calm, quick, fault, step):
    assert reader(fails, fault, step, stormy_work.of_merge, calm, quick / "results") > 30


def report_fails(calm, out):
    """Fill the disk at each write of a report: that of before is still there, whole."""
    work, before = stormy_work.of_report(calm, out), stormy_report.files_of(calm, SMALL)

    def kept():
        assert stormy_report.read(out) == before

    return storms.fails_at_every_write(replace(work, sound=kept), FULL)


def test_under_a_report(reader, calm, quick):
    assert reader(report_fails, calm, quick / "full") > 20
    assert reader(fails, READ_ONLY, 3, stormy_work.of_report, calm, quick / "read-only") > 10


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs disks of its own")
def test_under_a_run_on_disks_that_really_fail(calm, tmp_path):
    tests = Path(__file__).parents[1]
    ran = subprocess.run(
        ["unshare", "-rm", sys.executable, tests / "small_disk.py", calm, tmp_path],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])},
    )  # fmt: skip
    if ran.returncode == 77 or "unshare" in ran.stderr:
        pytest.skip("may not mount disks here")
    assert ran.returncode == 0, ran.stderr
    full, read_only = map(int, ran.stdout.split())
    assert full > 2
    assert read_only > 5

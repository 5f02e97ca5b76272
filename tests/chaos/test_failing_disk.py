"""A disk that gets full or read only ends a run, a merge or a report with one line, and nothing saved is lost."""

from dataclasses import replace

import faulty_disk
import pytest
import storms
from scenes import stormy_report, stormy_work
from scenes.stormy_report import SMALL

pytestmark = pytest.mark.slow

FULL, READ_ONLY = faulty_disk.full, faulty_disk.read_only


def fails(fault, step, kind, *places):
    return storms.fails_at_every_write(kind(*places), fault, step)


@pytest.mark.parametrize(("fault", "step", "times"), [(FULL, 2, 40), (READ_ONLY, 5, 15)])
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

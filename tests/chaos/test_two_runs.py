"""Two runs of one suite into one folder: both end, and the rows are those of one."""

import children
import jumping_clock
import pytest
import storms
from scenes import stormy_work

from bench.store.files import sweep

pytestmark = pytest.mark.slow


def one_in_another(step, kind, *places):
    """Stop one at its looks and writes, in turn, and do the other meanwhile."""
    work = kind(*places)
    return storms.stopped_in_turn(work, work.do, step)


def test_one_run_within_another(runner, calm, quick):
    assert runner(one_in_another, 12, stormy_work.of_run, calm, quick / "results") > 25


def test_one_merge_within_another(reader, calm, quick):
    assert reader(one_in_another, 3, stormy_work.of_merge, calm, quick / "results") > 50


def at_once(times, kind, *places):
    work = kind(*places)
    for _ in range(times):
        work.start()
        for child in [children.fork(work.do) for _ in range(3)]:
            assert children.wait(child) == 0
        work.sound()
        work.finished()


def test_three_runs_at_once(runner, calm, quick):
    runner(at_once, 5, stormy_work.of_run, calm, quick / "results")


def test_three_merges_and_reports_at_once(reader, calm, quick):
    reader(at_once, 10, stormy_work.of_merge, calm, quick / "results")
    reader(at_once, 10, stormy_work.of_report, calm, quick / "reports")


def swept_two_days_later(calm, root):
    """Stop a merge at its writes, and let another process with a clock that is ahead clear the folder up."""
    work = stormy_work.of_merge(calm, root)

    def clear_up():
        with jumping_clock.ahead(2):
            sweep(root, below=True)

    return storms.stopped_in_turn(work, clear_up, 2)


def test_a_process_whose_clock_is_days_ahead_harms_no_other(reader, calm, quick):
    assert reader(swept_two_days_later, calm, quick / "results") > 60

"""A clock that jumps changes no row, no order of runs and no time that something took."""

from functools import partial

import children
import jumping_clock
import pytest
from scenes import stormy, stormy_work

from bench.store.runlog import runs
from bench.store.store import open_store

pytestmark = pytest.mark.slow


def under_a_jumping_clock(calm, root):
    assert children.run(partial(_runs_and_report, calm, root)) == 0
    return [run["run"] for run in runs(open_store(root))]


def _runs_and_report(calm, root):
    from bench.report.document import document
    from bench.report.findings import find
    from bench.report.measured import measure
    from bench.report.render import pdf
    from bench.store.results import load_results

    work = stormy_work.of_run(calm, root)
    with jumping_clock.jumping():
        for _ in range(4):
            work.do()
        work.finished()
        results = load_results(root, stormy.NAME)
        assert pdf.render(document(find(results, measure(results), None)))
    assert (results.rows["seconds"] >= 0).all()
    started = [run["started"] for run in runs(open_store(root))]
    assert started != sorted(started, reverse=True)  # it did jump


def test_runs_keep_their_order(runner, calm, quick):
    order = runner(under_a_jumping_clock, calm, quick / "results")
    assert [run[:7] for run in order] == ["000004-", "000003-", "000002-", "000001-"]

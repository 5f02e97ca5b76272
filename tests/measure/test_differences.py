from __future__ import annotations

import pandas as pd

from bench.measure.differences import UNKNOWN, explained, in_points
from bench.measure.source import Cause

TIMES = Cause(where={"metric": "time_*"}, cause="another machine")


def figures(**columns) -> pd.DataFrame:
    """Return figures beside ours, with an interval of 0.1 on either side."""
    made = pd.DataFrame({"metric": "mean_l2", "model": "a", "cell": "c", **columns})
    return made.assign(low=made["ours"] - 0.1, high=made["ours"] + 0.1)


def test_a_difference_within_half_of_the_last_printed_digit_is_none():
    found = explained(
        figures(
            published=[1.5, 1.5, 1.5, 2.0], printed=["1.5", "1.50", "1.5", "2"],
            ours=[1.64, 1.64, 1.66, 2.55],
        ),
        (),
    )  # fmt: skip
    # 1.50 may be up to 1.505 and our interval begins at 1.54; 2 may be up to 2.5.
    assert found["apart"].tolist() == [False, True, True, False]
    assert found["cause"].tolist() == ["", UNKNOWN, UNKNOWN, ""]


def test_a_pattern_of_the_metric_finds_its_cause():
    found = explained(
        figures(
            metric=["time_per_sample", "time_per_iteration", "mean_l2"], published=5.0, ours=1.0
        ),
        (TIMES,),
    )
    assert found["cause"].tolist() == ["another machine", "another machine", UNKNOWN]


def test_what_was_measured_once_differs_where_its_digits_do():
    once = figures(published=[4.0, 4.0], printed=["4", "4"], ours=[4.2, 5.0])
    found = explained(once.assign(low=float("nan"), high=float("nan")), ())
    assert found["apart"].tolist() == [False, True]


def test_without_ours_nothing_differs():
    found = explained(figures(published=[4.0], ours=[float("nan")]), ())
    assert not found["apart"].any()


def test_an_interval_may_come_from_a_standard_error():
    found = explained(
        pd.DataFrame({"published": [1.0, 1.0], "ours": [1.3, 1.3], "error": [0.2, 0.1]}), ()
    )
    assert found["apart"].tolist() == [False, True]
    assert (found["metric"] == "accuracy").all()


def test_percentages_differ_in_points_and_other_figures_in_percent():
    assert in_points("fooling_rate")
    assert in_points("accuracy")
    assert not in_points("mean_l2")
    assert not in_points("critical_eps")

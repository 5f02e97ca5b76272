"""Bounds of checks: from one file, and from a suite."""

from __future__ import annotations

import pytest

from bench.errors import SpecError, UnknownName
from bench.trust import bounds as bounds_file
from bench.trust.bounds import Bounds, check_bounds, counts, shipped


@pytest.fixture
def two_bounds(monkeypatch):
    monkeypatch.setattr(bounds_file, "shipped", lambda: {"toy.low": 0.25, "toy.high": 0.5})


def test_numbers_of_draws_steps_and_images_are_counts():
    assert {"noise.draws", "doubled-steps.steps", "black-box.queries"} <= counts()
    assert not {"noise.most", "spent-budget.least"} & counts()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"noise": {"note": -1}}, "noise.note = -1: write a number of 0 or more"),
        ({"noise": {"note": "a"}}, "noise.note = 'a': write a number of 0 or more"),
        ({"noise": {"note": True}}, "noise.note = True: write a number of 0 or more"),
        ({"noise": {"note": float("nan")}}, "noise.note = nan: write a number of 0 or more"),
        ({"noise": {"most": float("inf")}}, "noise.most = inf: write a number of 0 or more"),
        ({"noise": {"draws": 2.5}}, "noise.draws = 2.5: write a whole number of 1 or more"),
        ({"noise": {"draws": 0}}, "noise.draws = 0: write a whole number of 1 or more"),
        (
            {"draws": 3},
            "draws = 3: bounds stand in the table of their check, such as [trust.noise]",
        ),
    ],
)
def test_what_cannot_be_a_bound_is_refused(table, said):
    with pytest.raises(SpecError) as refused:
        check_bounds(table)
    assert str(refused.value) == said


def test_a_count_may_be_written_with_a_point():
    assert check_bounds({"noise": {"draws": 3.0}}) == (("noise.draws", 3.0),)


def test_every_bound_of_the_file_is_a_number_of_a_check():
    assert all(name.count(".") == 1 and value >= 0 for name, value in shipped().items())


@pytest.mark.usefixtures("two_bounds")
def test_a_bound_of_a_suite_stands_in_for_that_of_the_file():
    bounds = Bounds(dict(check_bounds({"toy": {"high": 1}})))
    assert (bounds["toy.low"], bounds["toy.high"]) == (0.25, 1.0)


@pytest.mark.usefixtures("two_bounds")
def test_a_bound_that_no_check_has_is_refused():
    with pytest.raises(UnknownName, match=r"toy\.hihg"):
        check_bounds({"toy": {"hihg": 1}})

"""Bounds of checks: from one file, and from a suite."""

from __future__ import annotations

import pytest

from bench.errors import UnknownName
from bench.trust import bounds as bounds_file
from bench.trust.bounds import Bounds, check_bounds, shipped


@pytest.fixture
def two_bounds(monkeypatch):
    monkeypatch.setattr(bounds_file, "shipped", lambda: {"toy.low": 0.25, "toy.high": 0.5})


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

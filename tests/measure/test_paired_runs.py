"""Tests of what is worse and what is better in a second run."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.paired_runs import Paired, adjusted, change_of, paired

INFINITE = float("inf")
distances = st.sampled_from([-1.0, 0.0, 0.1, 0.1005, 0.2, INFINITE])
pairs = st.lists(st.tuples(distances, distances), min_size=1, max_size=60)


def sides(pairs):
    return (pd.Series(list(side), dtype=float) for side in zip(*pairs, strict=True))


def test_images_count_by_which_number_is_smaller_unless_it_is_nearly_the_same():
    a, b = sides(
        [(1, 0), (1, 0), (0, 1), (0.2, 0.199), (INFINITE, INFINITE), (INFINITE, 9), (-1, -1)]
    )
    assert paired(a, b) == Paired(n=7, worse_on=3, better_on=1, p=pytest.approx(10 / 16))


def test_adjusted_for_both_families_and_for_the_tests_that_can_come_out():
    tests = [
        Paired(9, 9, 0, 0.004),
        Paired(9, 0, 0, 1.0),
        Paired(9, 1, 8, 0.04),
        Paired(9, 5, 4, 1.0),
    ]
    assert adjusted(tests) == pytest.approx([2 * 3 * 0.004, 1.0, 2 * 2 * 0.04, 1.0])
    assert adjusted([]) == []


def test_seven_images_of_one_kind_are_the_fewest_that_show_something():
    for images, change in ((6, "noise"), (7, "worse")):
        a, b = sides([(1, 0)] * images)
        test = paired(a, b)
        assert change_of(test, *adjusted([test])) == change


@settings(max_examples=40)
@given(st.lists(pairs, min_size=1, max_size=4))
def test_swapping_the_sides_swaps_worse_and_better(families):
    forth = [paired(*sides(found)) for found in families]
    back = [paired(*sides([(b, a) for a, b in found])) for found in families]
    assert [(test.n, test.better_on, test.worse_on, test.p) for test in forth] == back
    levels = adjusted(forth)
    assert levels == adjusted(back)
    swapped = {"worse": "better", "better": "worse", "noise": "noise"}
    for one, other, level in zip(forth, back, levels, strict=True):
        assert change_of(one, level) == swapped[change_of(other, level)]


@settings(max_examples=20)
@given(pairs)
def test_a_side_against_itself_has_nothing_worse_or_better(found):
    a, _ = sides(found)
    assert paired(a, a) == Paired(len(a), 0, 0, 1.0)

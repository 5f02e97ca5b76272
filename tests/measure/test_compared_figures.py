"""Differences of figures: each p and interval against a value that is known or computed directly."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.measure.compared_figures import Difference, Sample, difference
from bench.measure.statistics import paired_difference


def sample(kind, values, images=None, bottom=None, named=True) -> Sample:
    top = pd.Series(np.asarray(values, float), index=images)
    whole = np.ones(len(top)) if bottom is None else np.asarray(bottom, float)
    return Sample(kind, top, pd.Series(whole, index=top.index), named)


def share(hits, n, **more) -> Sample:
    return sample("share", [image in hits for image in range(n)], **more)


def test_shares_of_the_same_images_are_compared_by_mcnemar():
    """Twelve images count on the left alone and three on the right alone, of 40."""
    found = difference(share(range(20), 40), share(range(12, 23), 40))
    by_hand = 2 * sum(comb(15, k) for k in range(4)) / 2**15
    assert found.p == pytest.approx(by_hand)
    assert (found.n, found.left, found.right) == (40, 0.5, 11 / 40)
    assert found.difference == pytest.approx(9 / 40)
    assert (found.low, found.high) == paired_difference(12, 3, 40)[1]


def test_only_the_images_of_both_sides_count():
    left = sample("share", [1, 1, 0, 0, 1, 1, 1, 1], images=range(8))
    right = sample("share", [0, 0, 1, 1, 0, 0, 0, 0], images=range(4, 12))
    found = difference(left, right)
    assert (found.n, found.left, found.right) == (4, 1.0, 0.5)
    assert found.p == pytest.approx(0.5)


@pytest.mark.parametrize("right", [
    share(range(4), 20, named=False), share(range(4), 20, images=range(100, 120)),
])  # fmt: skip
def test_shares_of_other_images_are_compared_by_fisher(right):
    """15 of 20 against 4 of 20: the p of the table by its hypergeometric chances."""
    found = difference(share(range(15), 20), right)
    chances = [comb(20, k) * comb(20, 19 - k) / comb(40, 19) for k in range(20)]
    assert found.p == pytest.approx(sum(c for c in chances if c <= chances[15] * (1 + 1e-9)))
    assert found.low < found.difference == 0.55 < found.high


def test_newcombes_own_example():
    """56/70 against 48/80: 0.0524 to 0.3339 (Statistics in Medicine 17, 1998, table II, column a)."""
    found = difference(share(range(56), 70, named=False), share(range(48), 80, named=False))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_share_against_a_number():
    """The chance of 20 of 20 at a share of 0.8, and what is as unlikely."""
    found = difference(share(range(20), 20), 0.8)
    assert found.p == pytest.approx(stats.binomtest(20, 20, 0.8).pvalue)
    assert found.difference == pytest.approx(0.2)
    assert found.low == pytest.approx(20 / (20 + 1.959964**2) - 0.8, abs=1e-6)


def test_a_mean_of_the_same_images_is_compared_by_the_paired_t():
    random = np.random.default_rng(0)
    a, b = random.normal(1, 1, 30), random.normal(0.5, 1, 30)
    found = difference(sample("ratio", a), sample("ratio", b))
    test = stats.ttest_rel(a, b)
    assert found.p == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))


def test_a_mean_of_other_images_and_against_a_number():
    random = np.random.default_rng(1)
    a, b = random.normal(1, 1, 30), random.normal(0.5, 2, 12)
    apart = difference(sample("ratio", a), sample("ratio", b, images=range(50, 62)))
    error = np.sqrt(a.var(ddof=1) / 30 + b.var(ddof=1) / 12)
    assert apart.p == pytest.approx(2 * stats.t.sf(abs(a.mean() - b.mean()) / error, 11))
    from_one = difference(sample("ratio", a), 1.2)
    assert from_one.p == pytest.approx(stats.ttest_1samp(a, 1.2).pvalue)
    assert from_one.right == 1.2


def test_a_mean_over_some_images_has_the_error_of_a_ratio():
    """The jackknife of the difference of two such means has nearly the same error."""
    random = np.random.default_rng(2)
    n = 400
    counts = random.random((2, n)) < [[0.5], [0.7]]
    values = random.normal(0.7, 0.1, n) + random.normal(0, 0.02, (2, n))
    sides = [sample("ratio", values[side] * counts[side], bottom=counts[side]) for side in (0, 1)]
    found = difference(*sides)
    means = [values[side][counts[side]].mean() for side in (0, 1)]
    assert (found.left, found.right) == pytest.approx(tuple(means))
    without = [
        np.subtract(*(np.delete(values[side] * counts[side], i).sum() / np.delete(counts[side], i).sum()
                      for side in (0, 1)))
        for i in range(n)
    ]  # fmt: skip
    jackknife = np.sqrt((n - 1) ** 2 / n * np.var(without, ddof=1))
    assert (found.high - found.low) / 2 == pytest.approx(
        stats.t.ppf(0.975, n - 1) * jackknife, rel=0.01
    )


def test_where_all_images_say_the_same_p_is_that_of_the_sign_test():
    found = difference(sample("ratio", [0.1] * 8), sample("ratio", [0.01] * 8))
    assert found.p == 2 / 2**8
    assert found.low == found.high == pytest.approx(0.09)
    assert difference(sample("ratio", [0.1] * 8), 0.1).p == 1.0


def test_medians_of_the_same_images_are_compared_by_signs():
    """Nine of ten images are changed more on the left."""
    right = np.arange(10.0)
    left = right + np.array([2.0] * 9 + [-1])
    found = difference(sample("median", left), sample("median", right))
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)
    assert found.difference == found.left - found.right == 2.0
    assert found.low <= found.difference <= found.high
    assert found == difference(sample("median", left), sample("median", right))  # seeded


def test_signs_that_the_medians_do_not_follow_decide_nothing():
    left = np.array([1.0, 1, 1, 1, 1, 1, 1, 9, 9, 9])
    right = np.array([0.0, 0, 0, 0, 0, 0, 3, 10, 10, 10])
    assert difference(sample("median", left), sample("median", left + 0.0)).p == 1.0
    found = difference(sample("median", left), sample("median", right))
    assert (found.difference, found.p) == (1.0, pytest.approx(stats.binomtest(6, 10).pvalue))
    backwards = difference(sample("median", [1, 1, 1, 1, 1, 5, 5, 5, 5]),
                           sample("median", [2, 2, 2, 2, 0, 4, 4, 4, 0]))  # fmt: skip
    assert (backwards.difference, backwards.p) == (-1.0, 1.0)


def test_the_interval_of_a_median_is_about_that_of_its_order_statistics():
    values = np.arange(1.0, 102.0)
    found = difference(sample("median", values), 51.0)
    ranks = stats.binom.ppf([0.025, 0.975], 101, 0.5)
    assert (found.low, found.high) == pytest.approx(tuple(values[ranks.astype(int)] - 51), abs=2)
    assert found.p == 1.0
    assert difference(sample("median", values), 20.0).p == pytest.approx(
        stats.binomtest(19, 100).pvalue
    )


def test_medians_of_other_images():
    left, right = np.arange(10.0, 30), np.arange(20.0)
    found = difference(sample("median", left), sample("median", right, images=range(50, 70)))
    assert found.p == pytest.approx(stats.mannwhitneyu(left, right).pvalue)
    assert found.low < found.difference == 10.0 < found.high


def test_numbers_of_one_fit_are_compared_as_they_are():
    passes = [sample("number", [value], named=False) for value in (10, 4)]
    assert difference(*passes) == Difference(1, 10.0, 4.0, 6.0, 6.0, 6.0, None)
    assert difference(passes[0], 9.5).difference == 0.5


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=6, max_size=60))
def test_sides_exchanged_turn_everything_round(pairs):
    left, right = (sample("share", side) for side in zip(*pairs, strict=True))
    there, back = difference(left, right), difference(right, left)
    assert (back.difference, back.low, back.high) == pytest.approx(
        (-there.difference, -there.high, -there.low)
    )
    assert there.p == pytest.approx(back.p)

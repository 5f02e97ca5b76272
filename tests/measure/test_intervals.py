"""Intervals of figures of perturbations: against closed forms, and by how often they hold the truth."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest

from bench.measure.intervals import (
    figure_interval,
    mean_interval,
    median_interval,
    reduction_interval,
    share_reduction_interval,
)
from bench.measure.statistics import paired_difference, wilson


def draws(count: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=(count, n))


def test_of_many_values_the_interval_of_a_mean_is_the_normal_one():
    (values,) = draws(1, 4000)
    low, high = mean_interval(values)
    error = values.std() / len(values) ** 0.5
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.15 * error
    )


@pytest.mark.parametrize(
    ("interval", "truth"), [(mean_interval, 1.0), (median_interval, np.log(2))]
)
def test_an_interval_holds_the_truth_about_as_often_as_it_says(interval, truth):
    bounds = [interval(values) for values in draws(400, 60)]
    held = np.mean([low <= truth <= high for low, high in bounds])
    assert 0.89 < held < 0.995


@pytest.mark.parametrize("n", [6, 7, 20, 41])
def test_the_bounds_of_a_median_are_the_order_statistics_of_the_binomial(n):
    low, high = median_interval(np.random.default_rng(n).permutation(n).astype(float))

    def outside(k: int) -> float:
        return sum(comb(n, below) for below in range(k)) / 2**n

    k = int(low) + 1  # the values are 0 to n - 1, so the k-th is k - 1
    assert outside(k) <= 0.025 < outside(k + 1)
    assert high == n - k


def test_few_values_and_none():
    assert median_interval(np.array([3.0, 1.0, 2.0])) == (1.0, 3.0)
    assert mean_interval(np.array([2.0, 2.0])) == pytest.approx((2.0, 2.0))
    for interval in (median_interval, mean_interval):
        assert np.isnan(interval(np.array([]))).all()
    assert np.isnan(reduction_interval(np.zeros(5), np.zeros(5))).all()


def test_a_reduction_is_of_the_means_of_the_same_images():
    before = draws(1, 200)[0]
    assert reduction_interval(before, 0.75 * before) == pytest.approx((0.25, 0.25))
    # Not the mean of the ratios of single images: the large ones lose nothing.
    after = np.where(before > 1, before, 0.5 * before)
    low, high = reduction_interval(before, after)
    assert low < 1 - after.sum() / before.sum() < high < (1 - after / before).mean()
    gone = before.copy()
    gone[:50] = np.nan
    assert reduction_interval(gone, after) == reduction_interval(before[50:], after[50:])


def test_the_kind_of_a_figure_says_which_interval_it_has():
    rng = np.random.default_rng(1)
    values = pd.DataFrame({
        "fooling": rng.random(50) < 0.4, "delta_l2": rng.random(50),
        "median_values": rng.random(50), "unclipped_delta_l2": 1 + rng.random(50),
        "confidence_fooled": np.where(np.arange(50) < 9, rng.random(50), np.nan),
    })  # fmt: skip
    size = values["delta_l2"].to_numpy()
    assert figure_interval(values, "fooling") == wilson(int(values["fooling"].sum()), 50)
    assert figure_interval(values, "delta_l2") == mean_interval(size)
    assert figure_interval(values, "median_values") == median_interval(
        values["median_values"].to_numpy()
    )
    assert figure_interval(values, "delta_reduction_l2") == reduction_interval(
        values["unclipped_delta_l2"].to_numpy(), size
    )
    assert figure_interval(values, "confidence_fooled") == mean_interval(
        values["confidence_fooled"].to_numpy()[:9]
    )


def test_a_reduction_of_a_share_is_that_of_a_paired_difference():
    before = np.array([1.0] * 60 + [0.0] * 40)
    after = before.copy()
    after[:6] = 0  # six are lost, one is gained
    after[99] = 1
    low, high = share_reduction_interval(before, after)
    _, bounds = paired_difference(6, 1, 100)
    assert (low, high) == pytest.approx((bounds.low / 0.6, bounds.high / 0.6))
    assert low < 5 / 60 < high
    # Where no image differs there still is an interval.
    low, high = share_reduction_interval(before, before)
    assert low < 0 < high < 0.1
    assert np.isnan(share_reduction_interval(np.zeros(5), np.zeros(5))).all()
    values = pd.DataFrame({"unclipped_fooling": before, "fooling": after})
    assert figure_interval(values, "fooling_reduction") == share_reduction_interval(before, after)

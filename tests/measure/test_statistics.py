from __future__ import annotations

from math import comb, isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.statistics import holm, mcnemar, paired_difference, wilson

SHARES = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
Z = 1.959963984540054


@given(SHARES)
def test_wilson_is_its_closed_form(share: tuple[int, int]) -> None:
    hits, n = share
    p = hits / n
    middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    low, high = wilson(hits, n)
    assert low == pytest.approx(max(middle - half, 0), abs=1e-9)
    assert high == pytest.approx(min(middle + half, 1), abs=1e-9)


@given(SHARES)
def test_wilson_holds_the_share_and_stays_within_0_and_1(share: tuple[int, int]) -> None:
    hits, n = share
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    assert low < high


@given(SHARES)
def test_wilson_is_symmetric(share: tuple[int, int]) -> None:
    hits, n = share
    low, high = wilson(hits, n)
    mirrored = wilson(n - hits, n)
    assert (low, high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)


def test_wilson_of_nothing() -> None:
    assert all(isnan(end) for end in wilson(0, 0))


def test_wilson_of_a_known_case() -> None:
    # R: binom.confint(84, 200, method = "wilson")
    assert wilson(84, 200) == pytest.approx((0.353701, 0.489279), abs=1e-4)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_against_the_sum(left: int, right: int) -> None:
    n = left + right
    tail = sum(comb(n, k) for k in range(min(left, right) + 1)) / 2**n
    assert mcnemar(left, right) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(left, right) == mcnemar(right, left)


def test_the_paired_interval_covers_the_true_difference():
    rng = np.random.default_rng(0)
    shares = [0.5, 0.2, 0.1, 0.2]  # both, only left, only right, neither
    covered = 0
    for both, left, right, neither in rng.multinomial(100, shares, size=400):
        effect, (low, high) = paired_difference(int(left), int(right), 100)
        assert low <= effect <= high
        assert effect == pytest.approx(
            (both + left - both - right) / (both + left + right + neither)
        )
        covered += low <= 0.1 <= high
    assert 0.92 <= covered / 400 <= 0.985


def test_no_image_has_no_difference():
    effect, interval = paired_difference(0, 0, 0)
    assert np.isnan([effect, *interval]).all()
    effect, interval = paired_difference(0, 0, 50)
    assert effect == 0
    assert interval.low < 0 < interval.high


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []

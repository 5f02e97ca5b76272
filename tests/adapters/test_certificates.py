"""The bounds under certificates, against closed forms, their definitions and scipy's own tests."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from bench.adapters.certificates import least_copies, least_votes, lower_bound, radius, separated

ALPHAS = st.floats(1e-4, 0.5)


@st.composite
def hits(draw):
    n = draw(st.integers(1, 2000))
    return draw(st.integers(0, n)), n


@given(st.integers(1, 100_000), ALPHAS)
def test_bounds_of_all_and_of_one_vote_have_closed_forms(n, alpha):
    low = lower_bound(np.array([n, 1, 0]), n, alpha)
    wanted = [alpha ** (1 / n), -math.expm1(math.log1p(-alpha) / n), 0]
    if n == 1:
        wanted[1] = alpha
    np.testing.assert_allclose(low, wanted, rtol=1e-8)


@given(hits(), ALPHAS)
def test_the_bound_is_the_share_under_which_so_many_votes_have_probability_alpha(found, alpha):
    votes, n = found
    (low,) = lower_bound(np.array([votes]), n, alpha)
    if votes:
        assert binom.sf(votes - 1, n, low) == pytest.approx(alpha, rel=1e-6)
    told = binomtest(votes, n, alternative="greater").proportion_ci(1 - alpha, "exact").low
    assert low == pytest.approx(told, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_the_bound_is_above_the_true_share_no_more_often_than_alpha(share):
    trials, alpha = 20_000, 0.05
    votes = np.random.default_rng(0).binomial(200, share, trials)
    above = (lower_bound(votes, 200, alpha) > share).sum()
    assert above <= binom.ppf(0.9999, trials, alpha)
    # Nor much more seldom: steps of whole votes cost less than half of alpha here.
    assert above >= trials * alpha / 2


@given(
    st.lists(st.lists(st.integers(0, 300), min_size=3, max_size=3), min_size=1, max_size=5), ALPHAS
)
def test_abstention_is_the_exact_two_sided_test_of_the_two_leading_classes(counts, alpha):
    found = separated(np.array(counts), alpha)
    for row, ahead in zip(counts, found, strict=True):
        _, second, first = sorted(row)
        p_value = binomtest(first, first + second, 0.5).pvalue if first else 1.0
        if abs(p_value - alpha) > 1e-9:
            assert ahead == (p_value <= alpha)


def test_abstention_at_known_votes():
    # 2 P(Binomial(10, 1/2) >= 9) = 22/1024 and 2 P(>= 10) = 2/1024.
    assert separated(np.array([[9, 1], [10, 0]]), 0.01).tolist() == [False, True]
    assert separated(np.array([[9, 1], [5, 5]]), 0.03).tolist() == [True, False]
    assert not separated(np.array([[0, 0, 0]]), 0.999).any()


@given(st.floats(0.5001, 0.9999), st.floats(0.01, 2))
def test_the_radius_is_the_quantile_of_the_share(share, sigma):
    (found,) = radius(np.array([share]), sigma)
    assert norm.cdf(found / sigma) == pytest.approx(share, rel=1e-9)


def test_no_more_than_half_of_the_share_guarantees_nothing():
    assert radius(np.array([0.0, 0.3, 0.5]), 0.25).tolist() == [0, 0, 0]


@given(ALPHAS | st.integers(1, 40).map(lambda power: 2.0**-power))
def test_fewer_votes_than_the_least_decide_nothing_and_the_least_do(alpha):
    least = least_votes(alpha)
    counts = np.array([[least - 1, 0], [least, 0]])
    assert separated(counts, alpha).tolist() == [False, True]


@given(ALPHAS)
def test_fewer_copies_than_the_least_certify_nothing_and_the_least_do(alpha):
    least = least_copies(alpha)
    low = [float(lower_bound(np.array([n]), n, alpha)[0]) for n in (max(1, least - 1), least)]
    assert (low[0] <= 0.5 or least == 1) and low[1] > 0.5  # noqa: PT018
    assert (radius(np.array(low[1:]), 1.0) > 0).all()


def test_the_least_at_the_usual_level():
    assert (least_votes(0.001), least_copies(0.001)) == (11, 10)

"""Repeated trainings compared: against ways counted by hand, scipy and its intervals."""

import numpy as np
import pytest
from scipy.stats import permutation_test, ttest_1samp, ttest_ind

from bench.measure.repeats import means_apart


@pytest.mark.parametrize(("left", "right", "p"), [
    ([6, 7, 8, 9, 10], [1, 2, 3, 4, 5], 2 / 252), ([3, 4], [1, 2], 2 / 6), ([3, 4, 5], [1, 2], 2 / 10),
    ([1, 1], [1, 1], 1.0),
])  # fmt: skip
def test_p_is_the_share_of_ways_that_are_as_far_apart(left, right, p):
    found = means_apart(left, right)
    assert found.p == pytest.approx(p)
    assert found.difference == np.mean(left) - np.mean(right)


def test_it_agrees_with_scipy():
    draws = np.random.default_rng(0)
    left, right = draws.normal(0.6, 0.02, 5).tolist(), draws.normal(0.62, 0.03, 5).tolist()
    found = means_apart(left, right)
    exact = permutation_test(
        (left, right), lambda a, b: np.mean(a) - np.mean(b), n_resamples=np.inf
    )
    assert found.p == pytest.approx(exact.pvalue)
    assert found.interval == pytest.approx(
        tuple(ttest_ind(left, right, equal_var=False).confidence_interval())
    )
    against = ttest_1samp(left, 0.5)
    one = means_apart(left, 0.5)
    assert one.p == pytest.approx(against.pvalue)
    assert one.interval == pytest.approx(np.array(against.confidence_interval()) - 0.5)


def test_many_trainings_are_compared_by_the_test_of_welch():
    left, right = list(range(10)), list(range(1, 13))
    wanted = ttest_ind(left, right, equal_var=False).pvalue
    assert means_apart(left, right).p == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("values", "bound", "p"), [([1.0] * 6, 0.0, 2 / 64), ([1.0] * 6, 1.0, 1.0)]
)
def test_trainings_that_all_say_the_same_have_no_error(values, bound, p):
    found = means_apart(values, bound)
    assert found.p == p
    assert found.interval == (1.0 - bound, 1.0 - bound)

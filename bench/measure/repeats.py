"""How a figure of repeated trainings differs from that of others, or from a number.

Two sides are compared by the exact permutation test of the difference of their means (R. A. Fisher, The Design of
Experiments, 1935, section 21): p is the share of all ways to deal the figures out to two sides of these sizes whose
means differ at least as much. With more than `_MOST` ways p is that of Welch's t-test. One side and a number are
compared by Student's t. Intervals are those of Welch and Student (B. L. Welch, Biometrika 34, 1947).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb, fsum
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from bench.measure.statistics import Interval, mcnemar

#: Ways to deal figures out of which all are looked at: 9 and 9 trainings have fewer, 10 and 10 more.
_MOST = 100_000

#: What rounding may add to a difference of means.
_ROUNDING = 1e-12


class Apart(NamedTuple):
    """How two means differ.

    Attributes:
        difference: left minus right.
        interval: of the difference, 95 %.
        p: two-sided.
    """

    difference: float
    interval: Interval
    p: float


def means_apart(left: Sequence[float], right: Sequence[float] | float) -> Apart:
    """Return how the mean of some trainings differs from that of others, or from a number.

    Args:
        left: figures of at least two trainings.
        right: likewise, or the number.
    """
    if isinstance(right, float):
        difference = fsum(left) / len(left) - right
        return Apart(difference, *_by_t([left], difference))
    difference = fsum(left) / len(left) - fsum(right) / len(right)
    interval, p = _by_t([left, right], difference)
    if comb(len(left) + len(right), len(left)) <= _MOST:
        p = _permuted(left, right)
    return Apart(difference, interval, p)


def _permuted(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the p of the exact permutation test of the difference of two means, two-sided."""
    both, n = np.array([*left, *right], dtype=np.float64), len(left)
    ways = np.array(list(combinations(range(len(both)), n)))
    sums = both[ways].sum(axis=1)
    apart = np.abs(sums / n - (both.sum() - sums) / (len(both) - n))
    return float((apart >= apart[0] - _ROUNDING).mean())  # the first way is the one observed


def _by_t(samples: Sequence[Sequence[float]], difference: float) -> tuple[Interval, float]:
    """Return the interval and the p of a difference whose error is that of the means of one or two samples."""
    parts = [float(np.var(sample, ddof=1)) / len(sample) for sample in samples]
    error = sum(parts) ** 0.5
    if error <= _ROUNDING:  # all trainings say the same: the sign test
        p = mcnemar(min(map(len, samples)), 0) if abs(difference) > _ROUNDING else 1.0
        return Interval(difference, difference), p
    # Welch and Satterthwaite; of one sample it is n - 1.
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(sample) - 1) for part, sample in zip(parts, samples, strict=True)
    )
    wide = float(t.ppf(0.975, freedom)) * error
    p = float(2 * t.sf(abs(difference) / error, freedom))
    return Interval(difference - wide, difference + wide), p

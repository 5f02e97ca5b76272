"""Shares with their intervals, and the exact test for two attacks on the same images."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from scipy.stats import binomtest


class Interval(NamedTuple):
    """The two ends of an interval; both NaN where there is nothing to count."""

    low: float
    high: float


@lru_cache(maxsize=10_000)
def wilson(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share.

    The shares p with |hits/n - p| <= z sqrt(p (1 - p) / n), z the normal quantile (E. B. Wilson,
    JASA 22, 1927, p. 209); unlike the usual formula it is right at 0 and at 1.

    Args:
        hits: how many of n, 0 to n.
        n: how many were counted; 0 gives NaN.
        confidence: probability that the interval holds the true share.
    """
    if n == 0:
        return Interval(float("nan"), float("nan"))
    found = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def mcnemar(only_left: int, only_right: int) -> float:
    """Return the exact two-sided p-value of McNemar's test on paired outcomes.

    Under the null hypothesis each discordant image is as likely to fall to one side alone as to the
    other: Binomial(only_left + only_right, 1/2) (Q. McNemar, Psychometrika 12, 1947, eq. 8, with the
    binomial in place of its chi-square).

    Args:
        only_left: images where only the left attack succeeded.
        only_right: images where only the right one did.

    Returns:
        The p-value; 1 where no image is discordant.
    """
    discordant = only_left + only_right
    return float(binomtest(only_left, discordant, 0.5).pvalue) if discordant else 1.0

"""Shares with their intervals, and the exact test for two attacks on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from scipy.stats import binomtest, norm


class Interval(NamedTuple):
    """The two ends of an interval; both NaN if nothing was counted."""

    low: float
    high: float


@lru_cache(maxsize=10_000)
def wilson(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share.

    The shares p with |hits/n - p| <= z sqrt(p (1 - p) / n), z the normal quantile (E. B. Wilson,
    JASA 22, 1927, p. 209). Unlike the Wald interval it is valid at shares of 0 and 1.

    Args:
        hits: how many of n, 0 to n.
        n: how many were counted; 0 gives NaN.
        confidence: probability that the interval holds the true share.
    """
    if n == 0:
        return Interval(float("nan"), float("nan"))
    interval = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return Interval(float(interval.low), float(interval.high))


@lru_cache(maxsize=10_000)
def mcnemar(only_left: int, only_right: int) -> float:
    """Return the exact two-sided p-value of McNemar's test on paired outcomes.

    Under the null hypothesis each discordant image is equally likely to be one of either side:
    Binomial(only_left + only_right, 1/2) (Q. McNemar, Psychometrika 12, 1947, eq. 8, with the binomial
    in place of its chi-square).

    Args:
        only_left: number of images that only the left side counts.
        only_right: number of images that only the right side counts.

    Returns:
        The p-value; 1 if no image is discordant.
    """
    discordant = only_left + only_right
    return float(binomtest(only_left, discordant, 0.5).pvalue) if discordant else 1.0


def paired_difference(only_left: int, only_right: int, n: int) -> tuple[float, Interval]:
    """Return the difference of two shares of the same images, left minus right, with its 95 % interval.

    The adjusted Wald interval of D. G. Bonett and R. M. Price (J. Educ. Behav. Stat. 37, 2012, eq. 7):
    one image is added to each discordant count, two to n.

    Args:
        only_left: number of images that only the left side counts.
        only_right: number of images that only the right side counts.
        n: number of all images; 0 gives NaN.
    """
    if n == 0:
        return float("nan"), Interval(float("nan"), float("nan"))
    middle, error = _adjusted(only_left, only_right, n)
    wide = float(norm.ppf(0.975)) * error
    return (only_left - only_right) / n, Interval(max(-1.0, middle - wide), min(1.0, middle + wide))


def paired_equality(only_left: int, only_right: int, n: int, within: float) -> tuple[float, float]:
    """Return the p-values of two shares of the same images being equal within something, and of not being so.

    The interval of `paired_difference`, drawn at the level p, just reaches the end of what counts as equal: from
    inside for the first, from outside for the second.

    Args:
        only_left: number of images that only the left side counts.
        only_right: number of images that only the right side counts.
        n: number of all images, at least 1.
        within: half the width of what counts as equal, as a share.
    """
    middle, error = _adjusted(only_left, only_right, n)
    inside = (within - abs(middle)) / error
    return min(1.0, float(2 * norm.sf(inside))), min(1.0, float(2 * norm.sf(-inside)))


def _adjusted(only_left: int, only_right: int, n: int) -> tuple[float, float]:
    """Return the difference of Bonett and Price, with an image added to each discordant count, and its error."""
    left, right = (only_left + 1) / (n + 2), (only_right + 1) / (n + 2)
    return left - right, ((left + right - (left - right) ** 2) / (n + 2)) ** 0.5


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple tests (S. Holm, Scand. J. Stat. 6, 1979).

    The i-th smallest of m is multiplied by m - i + 1; the adjusted values keep the order of the
    p-values and are at most 1.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted

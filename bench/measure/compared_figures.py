"""How two figures differ, or a figure and a number, from what each image adds: interval and p.

A figure of N images is a ratio of sums, R = sum(a) / sum(b), or a median. Of a share and of a mean over all
images b is 1; of a mean over some of them b is 1 for these and 0 elsewhere; of a reduction a is how much
the clip takes, and b what was there before. If two sides have images in common, only these count, and they
are compared image by image.

- Shares: exact McNemar test, and the interval of Bonett and Price; without common images Fisher's exact
  test (R. A. Fisher, J. R. Stat. Soc. 85, 1922) and Newcombe's interval; against a number the exact binomial
  test and the Wilson interval.
- Ratios: Student's t on the influence of each image, (a - R b) / mean(b), of one side less that of the other
  (W. G. Cochran, Sampling Techniques, 3rd ed., 1977, sections 2.11 and 6.4). Where b is 1 this is the
  paired t-test; without common images that of Welch, with the degrees of freedom of the smaller side.
  Where all images say the same, so that there is no error, p is that of the sign test.
- Medians: exact sign test on the images, and the interval of the difference of the medians by
  bootstrap of the images (percentiles of 2,000 draws, seeded). If the medians do not differ in the direction of the sign test,
  p is 1. Without common images the test is that of Mann and Whitney.
- Numbers of a single fit have no error: the interval is the difference alone, and there is no p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest, fisher_exact, mannwhitneyu, t

from bench.measure.statistics import Interval, mcnemar, paired_difference, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: With fewer images no sign test tells two sides apart at level 0.05: 2 / 2**5 > 0.05. The tests of shares are
#: exact for any number.
FEWEST = 6

_DRAWS, _DRAWS_AT_ONCE = 2000, 100


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """What the images of one side add to a figure.

    Attributes:
        kind: how the figure comes from them.
        top: a by image, or of a median the value; of a number that alone.
        bottom: b by image.
        named: whether the index says which image it is, so that two sides can be paired.
    """

    kind: Literal["share", "ratio", "median", "number"]
    top: pd.Series[float]
    bottom: pd.Series[float]
    named: bool = True

    @property
    def figure(self) -> float:
        """The figure of all these images."""
        if self.kind == "median":
            return float(self.top.median())
        return float(self.top.sum() / self.bottom.sum())

    @property
    def hits(self) -> int:
        """Of a share, how many images count."""
        return int(self.top.sum())

    def of(self, images: pd.Index[Any]) -> Sample:
        """Return the same of some of the images."""
        return Sample(self.kind, self.top.loc[images], self.bottom.loc[images], self.named)

    def counted(self) -> int:
        """Return how many of the images the figure is of."""
        return int((self.bottom != 0).sum())


class Difference(NamedTuple):
    """How two figures differ.

    Attributes:
        n: images; of sides that share none, of the smaller one.
        difference: left minus right.
        low, high: the 95 % interval of the difference.
        p: two-sided; None of numbers without an error.
    """

    n: int
    left: float
    right: float
    difference: float
    low: float
    high: float
    p: float | None


def shared(left: Sample, right: Sample) -> tuple[Sample, Sample, bool]:
    """Return both sides on the images that they share, and whether they share any."""
    images = left.top.index.intersection(right.top.index)
    if not (left.named and right.named and len(images)):
        return left, right, False
    return left.of(images), right.of(images), True


def difference(left: Sample, right: Sample | float) -> Difference:
    """Return how a figure differs from another of its kind or from a number; see the head of this file.

    Args:
        left: unless a share or a number, with at least `FEWEST` images that count, among those that it shares with
            the right, if any.
        right: likewise.
    """
    if isinstance(right, float):
        compare = {
            "share": _share_from, "ratio": _ratio_from, "median": _median_from, "number": _number_from,
        }[left.kind]  # fmt: skip
        (low, high), p = compare(left, right)
        figure = left.figure
        return Difference(len(left.top), figure, right, figure - right, low, high, p)
    left, right, paired = shared(left, right)
    between = {"share": _shares, "ratio": _ratios, "median": _medians, "number": _numbers}
    (low, high), p = between[left.kind](left, right, paired)
    figures = left.figure, right.figure
    n = min(len(left.top), len(right.top))
    return Difference(n, *figures, figures[0] - figures[1], low, high, p)


def _share_from(left: Sample, bound: float) -> tuple[Interval, float]:
    low, high = wilson(left.hits, len(left.top))
    p = float(binomtest(left.hits, len(left.top), min(max(bound, 0.0), 1.0)).pvalue)
    return Interval(low - bound, high - bound), p


def _ratio_from(left: Sample, bound: float) -> tuple[Interval, float]:
    return _by_t([_influence(left)], left.figure - bound)


def _median_from(left: Sample, bound: float) -> tuple[Interval, float]:
    more, less = int((left.top > bound).sum()), int((left.top < bound).sum())
    draws = _medians_of_draws(_values(left))
    return _percentiles(draws - bound), _sign_test(more, less, left.figure - bound)


def _number_from(left: Sample, bound: float) -> tuple[Interval, None]:
    apart = left.figure - bound
    return Interval(apart, apart), None


def _numbers(left: Sample, right: Sample, paired: bool) -> tuple[Interval, None]:
    return _number_from(left, right.figure)


def _shares(left: Sample, right: Sample, paired: bool) -> tuple[Interval, float]:
    if paired:
        both = int((left.top * right.top).sum())
        only = left.hits - both, right.hits - both
        return paired_difference(*only, len(left.top))[1], mcnemar(*only)
    counts = [(side.hits, len(side.top)) for side in (left, right)]
    p = float(fisher_exact(np.array([[hits, n - hits] for hits, n in counts])).pvalue)
    return _newcombe(*counts), p


def _newcombe(left: tuple[int, int], right: tuple[int, int]) -> Interval:
    """Return the interval of the difference of two independent shares, given hits and n of each.

    R. G. Newcombe, Statistics in Medicine 17, 1998, p. 873, method 10: from the Wilson interval of each.
    """
    (a, n), (b, m) = left, right
    p, q = a / n, b / m
    (low_p, high_p), (low_q, high_q) = wilson(a, n), wilson(b, m)
    return Interval(
        p - q - float(np.hypot(p - low_p, high_q - q)),
        p - q + float(np.hypot(high_p - p, q - low_q)),
    )


def _values(sample: Sample) -> NDArray[np.float64]:
    return np.asarray(sample.top, dtype=np.float64)


def _influence(sample: Sample) -> NDArray[np.float64]:
    """Return by how much each image moves the figure, times n."""
    bottom = np.asarray(sample.bottom, dtype=np.float64)
    return np.asarray((_values(sample) - sample.figure * bottom) / bottom.mean(), dtype=np.float64)


def _ratios(left: Sample, right: Sample, paired: bool) -> tuple[Interval, float]:
    moved = [_influence(left), _influence(right)]
    return _by_t([moved[0] - moved[1]] if paired else moved, left.figure - right.figure)


def _by_t(samples: Sequence[NDArray[np.float64]], apart: float) -> tuple[Interval, float]:
    """Return the interval of a difference, and its p, from the influence of each image of each sample."""
    error = float(np.sqrt(sum(sample.var(ddof=1) / len(sample) for sample in samples)))
    freedom = min(len(sample) for sample in samples) - 1
    # What is left of equal numbers after rounding is no error.
    if error <= 1e-12 * abs(apart):
        return Interval(apart, apart), mcnemar(freedom + 1, 0) if apart else 1.0
    wide = float(t.ppf(0.975, freedom)) * error
    return Interval(apart - wide, apart + wide), float(2 * t.sf(abs(apart) / error, freedom))


def _medians(left: Sample, right: Sample, paired: bool) -> tuple[Interval, float]:
    a, b, apart = _values(left), _values(right), left.figure - right.figure
    if paired:
        interval = _percentiles(_medians_of_draws(a, b))
        return interval, _sign_test(int((a > b).sum()), int((a < b).sum()), apart)
    interval = _percentiles(_medians_of_draws(a) - _medians_of_draws(b, seed=1))
    test = mannwhitneyu(a, b)
    agrees = (test.statistic - len(a) * len(b) / 2) * apart > 0
    return interval, float(test.pvalue) if agrees else 1.0


def _sign_test(more: int, less: int, apart: float) -> float:
    """Return the exact p of the sign test; 1 where the medians do not differ the same way."""
    return mcnemar(more, less) if (more - less) * apart > 0 else 1.0


def _medians_of_draws(
    values: NDArray[np.float64], others: NDArray[np.float64] | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """Return the medians of bootstrap draws of the images, or how they differ between two values of each."""
    random, found = np.random.default_rng(seed), []
    for _ in range(_DRAWS // _DRAWS_AT_ONCE):
        drawn = random.integers(len(values), size=(_DRAWS_AT_ONCE, len(values)))
        medians = np.median(values[drawn], axis=1)
        found.append(medians if others is None else medians - np.median(others[drawn], axis=1))
    return np.concatenate(found)


def _percentiles(draws: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(float(low), float(high))

"""95 % intervals of the figures of `bench.measure.perturbations`.

Shares have a Wilson interval, medians one of order statistics, reductions of a share that of a paired
difference. Means and reductions of a mean have one of the percentile bootstrap: the middle 95 % of the figure over samples of the images, drawn with replacement
(B. Efron, Ann. Stat. 7, 1979). The draws are the same in every run.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.measure.statistics import Interval, paired_difference, wilson

Floats = npt.NDArray[np.float64]

_SAMPLES = 1000
_NONE = Interval(float("nan"), float("nan"))


def figure_interval(values: pd.DataFrame, name: str) -> Interval:
    """Return the 95 % interval of a figure of one cell; NaN where no image counts.

    Args:
        values: of `bench.measure.perturbations.image_values`, the rows of the cell.
        name: of a figure in `PERTURBATION_FIGURES` that comes from the images of the cell, not of a fit.
    """
    figure = PERTURBATION_FIGURES[name]
    if figure.parts is not None:
        before, after = (values[part].to_numpy(dtype="float64") for part in figure.parts)
        share = PERTURBATION_FIGURES[figure.parts[0]].kind == "share"
        return (share_reduction_interval if share else reduction_interval)(before, after)
    counted = values[name].dropna().to_numpy(dtype="float64")
    if figure.kind == "share":
        return wilson(int(counted.sum()), len(counted))
    return median_interval(counted) if figure.kind == "median" else mean_interval(counted)


def mean_interval(values: Floats) -> Interval:
    """Return the 95 % interval of the mean of values (n,) by bootstrap; NaN without values."""
    return _middle(_draws(len(values)) @ values) if len(values) else _NONE


def reduction_interval(before: Floats, after: Floats) -> Interval:
    """Return the 95 % interval of (b - a) / b for the means b and a of two values an image (n,).

    By bootstrap of the images; NaN where no image has both values or all of the first are 0.
    """
    there = ~np.isnan(before) & ~np.isnan(after)
    if not before[there].any():
        return _NONE
    draws = _draws(int(there.sum()))
    first, second = draws @ before[there], draws @ after[there]
    known = first > 0
    return _middle((first[known] - second[known]) / first[known])


def share_reduction_interval(before: Floats, after: Floats) -> Interval:
    """Return the 95 % interval of (b - a) / b for the shares b and a of images (n,), each 0 or 1.

    That of the paired difference b - a (`paired_difference`), divided by b: a bootstrap would have no
    width where no image differs. NaN where no image has both values or all of the first are 0.
    """
    there = ~np.isnan(before) & ~np.isnan(after)
    first, second = before[there] > 0, after[there] > 0
    if not first.any():
        return _NONE
    _, (low, high) = paired_difference(
        int((first & ~second).sum()), int((second & ~first).sum()), len(first)
    )
    return Interval(low / first.mean(), high / first.mean())


def median_interval(values: Floats) -> Interval:
    """Return the 95 % interval of the median of values (n,): two order statistics.

    They are x_(k) and x_(n + 1 - k) with the largest k for which P(B < k) <= 0.025, B binomial(n, 1/2)
    (W. J. Conover, Practical Nonparametric Statistics, 3.2). Of fewer than 6 values no two hold the
    median so often, and the least and the largest are returned; NaN without values.
    """
    if not len(values):
        return _NONE
    ordered = np.sort(values)
    below = binom.cdf(np.arange(len(values)), len(values), 0.5)
    k = max(1, int((below <= 0.025).sum()))
    return Interval(float(ordered[k - 1]), float(ordered[-k]))


@lru_cache(maxsize=32)
def _draws(n: int) -> Floats:
    """Return how much each of n images counts in each sample: (samples, n), of sum 1 each."""
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_SAMPLES)
    return drawn / n


def _middle(values: Floats) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))

"""The median and the mode of adversarial radii, which assume no shape of the accuracy curve.

The median is the eps at which half of the images are broken. The mode is the eps at which most labels
change: the maximum of a kernel density estimate, Gaussian, with bandwidth
0.9 min(sd, IQR / 1.34) n^(-1/5) (Silverman, Density Estimation, 1986, section 3.4.2), at least the step
in which radii were measured, and reflected at 0. If the distribution is skew, the estimate is biased
towards the longer tail, by less than its error with some thousands of images; the error does not
include this bias.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

_REPLICATES = 200
_SEED = 0
#: Bins of the smoothed histogram in a bandwidth; the mode is looked for among this share of the radii.
_BINS = 8
_SHOWN = 0.99
#: No bandwidth is smaller than this share of the radius below which `_SHOWN` of the radii lie.
_LEAST = 2e-3

Array = npt.NDArray[np.float64]


class Figure(NamedTuple):
    """A figure and its standard error; NaN if it is not known."""

    value: float
    error: float


def median_radius(radii: Array, step: float = 0.0) -> Figure:
    """Return the eps at which half of the images are broken; for even n the upper of the two radii.

    The error is half the distance between the radii that are sqrt(n)/2 places below and above it in
    order. The true median lies between these in 68.3 % of samples, whatever the distribution (David and
    Nagaraja, Order Statistics, 2003, section 7.1). Radii measured in steps add the standard deviation
    of a uniform distribution of that width.

    Args:
        radii: (n,), ascending, infinite where the label never changed.
        step: the step in which they were measured, 0 if they are exact.
    """
    n = len(radii)
    if not n:
        return Figure(float("nan"), float("nan"))
    value, off = float(radii[n // 2]), np.sqrt(n) / 2
    low, high = int(np.floor(n / 2 - off)), int(np.ceil(n / 2 + off)) - 1
    if low < 1 or high >= n or not np.isfinite(radii[high]):
        return Figure(value, float("nan"))
    return Figure(value, float(np.hypot((radii[high] - radii[low]) / 2, step / np.sqrt(12))))


def mode_radius(radii: Array, step: float = 0.0) -> Figure:
    """Return the eps at which most labels change, by the kernel estimate at the head of this file.

    The error is half the width of the middle 68.3 % of 200 bootstrap estimates, with the same draws in
    every call. Radii measured in steps add the standard deviation of a uniform distribution of that width.

    Args:
        radii: (n,), ascending, infinite where the label never changed; some must be finite.
        step: the step in which they were measured, 0 if they are exact.
    """
    flipped = radii[np.isfinite(radii)]
    end = float(np.quantile(flipped, _SHOWN))
    width = max(_bandwidth(flipped), step, end * _LEAST)
    if width == 0:
        return Figure(0.0, 0.0)  # all radii are 0
    bin_width = width / _BINS
    last = int(end / bin_width) + 4 * _BINS
    counts = np.bincount((flipped / bin_width).astype(int).clip(max=last), minlength=last + 1)
    counts[last] = 0  # of the radii farther out
    generator = np.random.default_rng(_SEED)
    drawn = generator.multinomial(counts.sum(), counts / counts.sum(), _REPLICATES)
    value, *replicates = _highest(np.vstack([counts, drawn])) * bin_width
    low, high = np.quantile(replicates, (0.1587, 0.8413))
    return Figure(float(value), float(np.hypot((high - low) / 2, step / np.sqrt(12))))


def _bandwidth(flipped: Array) -> float:
    low, high = np.quantile(flipped, (0.25, 0.75))
    spreads = [spread for spread in (float(np.std(flipped)), float(high - low) / 1.34) if spread]
    return float(0.9 * min(spreads, default=0.0) * len(flipped) ** -0.2)


def _highest(counts: npt.NDArray[np.int64]) -> Array:
    """Return where each smoothed histogram (a row) is highest, in bins: 0, or the middle of a bin."""
    smooth = gaussian_filter1d(counts.astype(float), _BINS, axis=1, mode="reflect")
    at = smooth.argmax(axis=1)
    return np.where(at == 0, 0.0, at + 0.5)

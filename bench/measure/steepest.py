"""Where accuracy falls the fastest, and where half of it is gone, without a formula for its shape.

The median needs no more than the order of the radii. The mode, the eps at which the most labels flip, is
that of a kernel estimate: Gaussian, of the bandwidth 0.9 min(sd, IQR / 1.34) n^(-1/5) (Silverman, Density
Estimation, 1986, section 3.4.2) and at least the step in which radii were measured, reflected at 0,
below which there are none. Of a skew distribution it lies a little, by less than its error at some
thousands of images, on the side of the longer tail; that is not in the error.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

_REPLICATES = 200
_SEED = 0
#: Bins of the histogram that is smoothed, to a bandwidth; what lies beyond the last images is no mode.
_BINS = 8
_SHOWN = 0.99
#: No bandwidth is smaller than this share of where the last images flip.
_LEAST = 2e-3

Array = npt.NDArray[np.float64]


class Figure(NamedTuple):
    """A figure and its standard error; NaN where there is none."""

    value: float
    error: float


def median_radius(radii: Array, step: float = 0.0) -> Figure:
    """Return the eps at which half of the labels have flipped; of an even number the upper one.

    The error is half the distance between the two radii that lie half a root of n below and above it
    in order, between which the true median lies in 68.3 % of samples whatever the shape (David and
    Nagaraja, Order Statistics, 2003, section 7.1); steps add the spread of an even distribution.

    Args:
        radii: (n,), ascending, infinite where the label never flipped.
        step: the step in which they were measured, 0 where they are exact.
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
    """Return the eps at which the most labels flip, by the kernel estimate at the head of this file.

    The error is half the width of the middle 68.3 % of 200 estimates, each of as many images drawn
    with replacement, the same each time; steps add the spread of an even distribution.

    Args:
        radii: (n,), ascending, infinite where the label never flipped; some must be finite.
        step: the step in which they were measured, 0 where they are exact.
    """
    flipped = radii[np.isfinite(radii)]
    end = float(np.quantile(flipped, _SHOWN))
    width = max(_bandwidth(flipped), step, end * _LEAST)
    if width == 0:
        return Figure(0.0, 0.0)  # all flip at once
    bin_width = width / _BINS
    last = int(end / bin_width) + 4 * _BINS
    counts = np.bincount((flipped / bin_width).astype(int).clip(max=last), minlength=last + 1)
    counts[last] = 0  # those farther out
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
    """Return in bins where each smoothed histogram (a row) is highest: 0, or the middle of a bin."""
    smooth = gaussian_filter1d(counts.astype(float), _BINS, axis=1, mode="reflect")
    at = smooth.argmax(axis=1)
    return np.where(at == 0, 0.0, at + 0.5)

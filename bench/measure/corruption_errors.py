"""How often models are wrong about images that are corrupted without any attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.measure.statistics import Interval, wilson


class CorruptionErrors(NamedTuple):
    """The errors of a model.

    Attributes:
        frame: a row a corruption and severity: `corruption, severity, error` (share of the images).
        images: how many there are of each.
        mean: the mean corruption error: the mean over corruptions of the mean over severities. It is not divided by
            that of another model, as with images of CIFAR-10 (Hendrycks et al., AugMix, 2020, section 4.1).
        interval: 95 %, of the mean: as if all versions of an image were right or wrong together, so that it is rather
            too wide than too narrow.
    """

    frame: pd.DataFrame
    images: int
    mean: float
    interval: Interval


def corruption_errors(
    correct: pd.Series[bool], versions: Sequence[tuple[str, int]]
) -> CorruptionErrors | None:
    """Return the errors of a model on the images of which there are all versions; None without one.

    Args:
        correct: whether it gets each image right, indexed by its place: all versions of the first image, then of
            the second.
        versions: corruption and severity of each version of an image, in their order.
    """
    in_turn = correct.sort_index()
    images = int((in_turn.index == np.arange(len(in_turn))).sum()) // len(versions)
    if not images:
        return None
    right = in_turn.iloc[: images * len(versions)].to_numpy(dtype=bool)
    wrong = 1 - right.reshape(images, len(versions)).mean(0)
    frame = pd.DataFrame(versions, columns=["corruption", "severity"]).assign(error=wrong)
    mean = float(frame.groupby("corruption")["error"].mean().mean())
    return CorruptionErrors(frame, images, mean, wilson(round(mean * images), images))

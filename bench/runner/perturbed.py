"""Columns about a perturbation besides the verdict: what it changed, and what it was before the clip."""

from __future__ import annotations

import math
from typing import Any

import torch

from bench.data.table import DATASETS
from bench.measure.norms import distances, sizes
from bench.runner.judge import Attempt, Verdict, decision, readable
from bench.spec import SIZES, Adapter, ModelSpec

CHANGED = ("changed_pixels", "changed_values")
UNCLIPPED = ("unclipped_label", "unclipped_l2", "unclipped_linf")


def clean_sizes(attempt: Attempt, model: ModelSpec) -> dict[str, list[Any]]:
    """Return the norms of the clean images by the names in `SIZES`; see `bench.measure.norms.sizes`."""
    data = DATASETS.get(model.data)
    found = sizes(attempt.x, () if data is None else data.means)
    return {name: _listed(found[name], len(attempt.x)) for name in SIZES}


def changed_shares(
    attempt: Attempt, shown: torch.Tensor, verdict: Verdict
) -> dict[str, list[float | None]]:
    """Return the shares of pixels and of channel values that differ from the clean image.

    Null for an image that is not finite.

    Args:
        attempt: the attack's goal.
        shown: the images tried, (N, C, H, W), as the judge saw them.
        verdict: of the judge.
    """
    pixels = math.prod(shown.shape[2:])
    counts = verdict.distances["l0"]
    size = math.prod(shown.shape[1:])
    values = ((shown != attempt.x).flatten(1).sum(1).double() / size).tolist()
    return {
        "changed_pixels": [None if count is None else count / pixels for count in counts],
        "changed_values": [
            None if count is None else share for count, share in zip(counts, values, strict=True)
        ],
    }


def before_the_clip(
    adapter: Adapter, attempt: Attempt, images: torch.Tensor | None
) -> dict[str, list[Any]]:
    """Return the labels and distances of images before a last clip to [0, 1].

    They count for no success and no robustness, since they are not valid images. Null for one that is not
    finite; empty if the attack does not return them.

    Args:
        adapter: the model that labels them.
        attempt: the attack's goal.
        images: (N, C, H, W), from the attack.
    """
    shown = None if images is None else readable(attempt.x, images)
    if images is None or shown is None:
        return {}
    lengths = distances(attempt.x, images)
    finite = images.flatten(1).isfinite().all(1).tolist()
    found = (decision(adapter, shown).labels, lengths["l2"], lengths["linf"])
    return {
        name: [
            value if known else None for value, known in zip(column.tolist(), finite, strict=True)
        ]
        for name, column in zip(UNCLIPPED, found, strict=True)
    }


def _listed(values: torch.Tensor | None, n: int) -> list[Any]:
    return [None] * n if values is None else values.tolist()

"""From a trained embedding to a model: its bank, its vote and the surrogates of the vote."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from bench.adapters.neighbours import Bank, NeighboursAdapter
from bench.adapters.surrogates import MetricLoss, NearestOfClass, SoftNeighbours
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.spec import ModelSpec, Scalar
from bench.train.banks import bank_of, temperature_of
from bench.train.objectives import loss_by_image, similarity
from bench.train.recipes import Recipe

#: Stored images of each class that the metric loss is measured against.
_ANCHORS = 10


def neighbours(
    name: str,
    rules: Recipe,
    embed: nn.Module,
    data_root: Path | None,
    k: Scalar = 1,
    distance: Scalar = "cosine",
) -> NeighboursAdapter:
    """Return the vote of the k nearest training images.

    Its surfaces are `soft-knn`, a differentiable vote; `nearest-other`, the largest similarity to
    each class; and `metric-loss`, the loss the embedding was trained with.

    Args:
        name: of the model.
        rules: its recipe.
        embed: images (N, C, H, W) in [0, 1] to embeddings.
        data_root: the data folder.
        k: how many vote.
        distance: cosine, euclidean, manhattan, dot-product or snr.

    Raises:
        SpecError: no such distance, or a k below 1.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise SpecError(f"{name}: k={k!r} is not a whole number from 1")
    near = similarity(str(distance))
    data = DATASETS[rules.data]
    bank = bank_of(embed, rules.data, data_root)
    temperature = temperature_of(bank, near, k, str(distance))
    anchors = _anchors(bank)
    spec = ModelSpec(
        name=name, family="neighbours", data=rules.data, input_shape=data.input_shape,
        num_classes=len(data.classes), scores="probabilities",
    )  # fmt: skip
    return NeighboursAdapter(
        spec=spec,
        embed=embed,
        bank=bank,
        k=k,
        distance=str(distance),
        similarity=near,
        surrogates={
            "soft-knn": SoftNeighbours(embed, bank, near, k, temperature),
            "nearest-other": NearestOfClass(embed, bank, near),
            "metric-loss": MetricLoss(
                embed, bank.embeddings[anchors], bank.labels[anchors], loss_by_image(rules.loss)
            ),
        },
        settings=f"temperature {temperature!r} anchors {_ANCHORS} {rules.loss}",
    )


def _anchors(bank: Bank) -> torch.Tensor:
    """Return the places in a bank of the first few images of each class."""
    ends = torch.bincount(bank.labels).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    return torch.cat(
        [torch.arange(start, min(start + _ANCHORS, end))
         for start, end in zip(starts, ends, strict=True)]
    )  # fmt: skip

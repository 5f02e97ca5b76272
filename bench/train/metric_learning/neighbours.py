"""From a trained embedding to a model: its bank, its vote and the surrogates of the vote."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.adapters.distances import distance as distance_named
from bench.adapters.neighbours import NeighboursAdapter
from bench.adapters.stored import Bank, Stored
from bench.adapters.surrogates import MetricLoss, NearestOfClass, SoftNeighbours
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.spec import ModelSpec, Scalar
from bench.train.metric_learning.agreement import agreement_of, kept_agreement
from bench.train.metric_learning.reference_sets import random_bank, stored_of
from bench.train.objectives import losses_by_label
from bench.train.recipe import Recipe

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
    each class; and `metric-loss`, the loss the embedding was trained with, which a loss without anchors
    (ranked-list) cannot be.

    Args:
        name: of the model.
        rules: its recipe.
        embed: images (N, C, H, W) in [0, 1] to embeddings; its models share it within a process.
        data_root: the data folder.
        k: how many vote.
        distance: cosine, euclidean, manhattan, dot-product or snr.

    Raises:
        SpecError: no such distance, or a k below 1 or above the number of stored images.
    """
    k = _whole(name, k)
    stored = stored_of(embed, rules.data, data_root, str(distance))
    if k > len(stored.bank.labels):
        raise SpecError(
            f"{name}: k={k} is more than the {len(stored.bank.labels)} images it stores"
        )
    agreement = agreement_of(embed, stored, k, data_root)
    return _assembled(name, rules, embed, stored, agreement)


def sketched_neighbours(
    name: str,
    rules: Recipe,
    embed: nn.Module,
    data_root: Path | None,
    k: Scalar = 1,
    distance: Scalar = "cosine",
) -> NeighboursAdapter | None:
    """Return what `neighbours` would, with random embeddings for those of the training images.

    It has the same fingerprint and is as fast, which is what a plan asks; its answers are worth nothing.
    None where that takes more than has been kept: embedding the training images.

    Raises:
        SpecError: as `neighbours`.
    """
    k = _whole(name, k)
    measure = distance_named(str(distance))
    agreement = kept_agreement(embed, rules.data, measure.name, k, data_root)
    if agreement is None:
        return None
    bank = random_bank(rules.data, data_root, rules.embedding)
    return _assembled(name, rules, embed, Stored(bank, measure), agreement)


def _whole(name: str, k: Scalar) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise SpecError(f"{name}: k={k!r} is not a whole number from 1")
    return k


def _assembled(
    name: str, rules: Recipe, embed: nn.Module, stored: Stored, agreement: Mapping[str, Any]
) -> NeighboursAdapter:
    k = int(agreement["k"])
    temperature = float(agreement["temperature"])
    surrogates: dict[str, nn.Module] = {
        "soft-knn": SoftNeighbours(embed, stored, k, temperature),
        "nearest-other": NearestOfClass(embed, stored),
    }
    bank, losses = stored.bank, losses_by_label(rules.loss)
    if losses is not None:
        few = _anchors(bank)
        surrogates["metric-loss"] = MetricLoss(
            embed, bank.embeddings[few], bank.labels[few], bank.classes, losses
        )
    data = DATASETS[rules.data]
    spec = ModelSpec(
        name=name, family="neighbours", data=rules.data, input_shape=data.input_shape,
        num_classes=len(data.classes), scores="probabilities",
    )  # fmt: skip
    return NeighboursAdapter(
        spec=spec,
        embed=embed,
        stored=stored,
        k=k,
        surrogates=surrogates,
        settings=f"temperature {temperature!r} anchors {_ANCHORS} {rules.loss}",
        agreement=agreement,
    )


def _anchors(bank: Bank) -> torch.Tensor:
    """Return the places in a bank of the first few images of each class."""
    ends = list(itertools.accumulate(bank.sizes()))
    starts = [0, *ends[:-1]]
    return torch.cat(
        [torch.arange(start, min(start + _ANCHORS, end))
         for start, end in zip(starts, ends, strict=True)]
    )  # fmt: skip

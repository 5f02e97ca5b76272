"""From a trained embedding to a model: its reference set, its vote and the vote's surrogates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from bench.adapters.distances import distance as distance_named
from bench.adapters.knn_index import KnnIndex, ReferenceSet
from bench.adapters.neighbours import NeighboursAdapter
from bench.adapters.network import Normalised
from bench.adapters.surrogates import MetricLoss, NearestOfClass, SoftNeighbours
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.spec import ModelSpec, Scalar
from bench.train.cards import Weights
from bench.train.metric_learning.agreement import agreement_of, kept_agreement
from bench.train.metric_learning.reference_sets import index_of, random_reference_set
from bench.train.networks import build_embedding, with_weights
from bench.train.objectives import losses_by_label
from bench.train.recipe import Recipe

#: Stored images of each class that the metric loss is measured against.
_ANCHORS = 10


def neighbours(weights: Weights, k: Scalar = 1, distance: Scalar = "cosine") -> NeighboursAdapter:
    """Return the vote of the k nearest training images.

    Its surfaces are `soft-knn`, a differentiable vote; `nearest-other`, the largest similarity to
    each class; and `metric-loss`, the loss the embedding was trained with, unless that loss takes no
    anchors (ranked-list).

    Args:
        weights: of the embedding.
        k: how many vote.
        distance: cosine, euclidean, manhattan, dot-product or snr.

    Raises:
        SpecError: no such distance, or a k below 1 or above the number of stored images.
    """
    k = whole(weights.name, k)
    embed = embedding(weights.recipe, weights.payload, weights.device)
    index = index_of(embed, weights.recipe.data, weights.data_root, str(distance))
    images = len(index.reference_set.labels)
    if k > images:
        raise SpecError(f"{weights.name}: k={k} is more than the {images} images it stores")
    agreement = agreement_of(embed, index, k, weights.data_root)
    return _assembled(weights, embed, index, agreement)


def sketched_neighbours(
    weights: Weights, k: Scalar = 1, distance: Scalar = "cosine"
) -> NeighboursAdapter | None:
    """Return the model of `neighbours`, with random embeddings in place of the training images'.

    It has the same fingerprint and speed, which is all a plan needs; its answers are meaningless. None if
    its agreement is not cached, since that would require embedding the training images.

    Raises:
        SpecError: as in `neighbours`.
    """
    k = whole(weights.name, k)
    rules, measure = weights.recipe, distance_named(str(distance))
    embed = embedding(rules, weights.payload, weights.device)
    agreement = kept_agreement(embed, rules.data, measure.name, k, weights.data_root)
    if agreement is None:
        return None
    references = random_reference_set(rules.data, weights.data_root, rules.embedding)
    return _assembled(weights, embed, KnnIndex(references, measure), agreement)


@cache
def embedding(rules: Recipe, payload: bytes, device: str) -> nn.Module:
    """Return the trained embedding, frozen and shared by all models on one trunk in this process.

    Models on another device do not share it, since moving one model would move the embedding of all.

    Args:
        rules: its recipe.
        payload: its weights, a safetensors file.
        device: the device it will be moved to.

    Returns:
        Images (N, C, H, W) in [0, 1] to embeddings.
    """
    embed = Normalised(with_weights(build_embedding(rules), payload), rules.mean, rules.std)
    return embed.requires_grad_(False).eval()


def whole(name: str, k: Scalar) -> int:
    """Return how many vote.

    Raises:
        SpecError: a k that is not a whole number from 1.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise SpecError(f"{name}: k={k!r} is not a whole number from 1")
    return k


def _assembled(
    weights: Weights, embed: nn.Module, index: KnnIndex, agreement: Mapping[str, Any]
) -> NeighboursAdapter:
    rules = weights.recipe
    k = int(agreement["k"])
    temperature = float(agreement["temperature"])
    surrogates: dict[str, nn.Module] = {
        "soft-knn": SoftNeighbours(embed, index, k, temperature),
        "nearest-other": NearestOfClass(embed, index),
    }
    references, losses = index.reference_set, losses_by_label(rules.loss)
    if losses is not None:
        few = _anchors(references)
        surrogates["metric-loss"] = MetricLoss(
            embed, references.embeddings[few], references.labels[few], references.classes, losses
        )
    data = DATASETS[rules.data]
    spec = ModelSpec(
        name=weights.name, family=rules.family, data=rules.data, input_shape=data.input_shape,
        num_classes=len(data.classes), scores="probabilities",
    )  # fmt: skip
    return NeighboursAdapter(
        spec=spec,
        embed=embed,
        index=index,
        k=k,
        surrogates=surrogates,
        settings=f"temperature {temperature!r} anchors {_ANCHORS} {rules.loss}",
        agreement=agreement,
    )


def _anchors(references: ReferenceSet) -> torch.Tensor:
    """Return the positions of the first few images of each class in a reference set."""
    ends = list(itertools.accumulate(references.sizes()))
    starts = [0, *ends[:-1]]
    return torch.cat(
        [torch.arange(start, min(start + _ANCHORS, end))
         for start, end in zip(starts, ends, strict=True)]
    )  # fmt: skip

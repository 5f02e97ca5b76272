"""What a network is trained to lessen, by name; the losses, miners and distances are a library's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.errors import SpecError
from bench.registry import unknown
from bench.train.recipes import Recipe

#: Outputs of the network (N, D) and labels (N,) to the loss.
Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CROSS_ENTROPY = "cross-entropy"
_LOSSES = {
    "contrastive": "ContrastiveLoss",
    "triplet": "TripletMarginLoss",
    "angular": "AngularLoss",
    "ranked-list": "RankedListLoss",
    "multi-similarity": "MultiSimilarityLoss",
}
#: What the library has no default for.
_SETTINGS: dict[str, dict[str, float]] = {"ranked-list": {"margin": 0.4, "Tn": 10}}
_DISTANCES: dict[str, tuple[str, dict[str, Any]]] = {
    "cosine": ("CosineSimilarity", {}),
    "euclidean": ("LpDistance", {"normalize_embeddings": False}),
    "manhattan": ("LpDistance", {"normalize_embeddings": False, "p": 1}),
    "dot-product": ("DotProductSimilarity", {"normalize_embeddings": False}),
    "snr": ("SNRDistance", {"normalize_embeddings": False}),
}


def objective(recipe: Recipe) -> Objective:
    """Return the loss of a recipe.

    Raises:
        SpecError: a loss or miner that is not known, or a miner without a metric loss.
    """
    if recipe.loss == CROSS_ENTROPY:
        if recipe.miner:
            raise SpecError(f"recipe: the miner {recipe.miner!r} needs a metric loss")
        return nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    loss = metric_loss(recipe.loss)
    miner = _miner(recipe.miner)

    def mined(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = loss(embeddings, labels, miner(embeddings, labels) if miner else None)
        return found

    return mined


def metric_loss(name: str, **settings: Any) -> Any:
    """Return a loss of pytorch-metric-learning by its name here.

    Raises:
        SpecError: there is none of that name.
    """
    from pytorch_metric_learning import losses

    if name not in _LOSSES:
        raise unknown("metric loss", name, list(_LOSSES))
    return getattr(losses, _LOSSES[name])(**_SETTINGS.get(name, {}), **settings)


def _miner(name: str) -> Any:
    from pytorch_metric_learning.miners import MultiSimilarityMiner

    if name not in ("", "multi-similarity"):
        raise unknown("miner", name, ["multi-similarity"])
    return MultiSimilarityMiner() if name else None


def loss_by_image(name: str) -> Callable[..., torch.Tensor]:
    """Return a metric loss with one value an image, against stored anchors.

    The function takes embeddings (N, D), the labels they are to have (N,), anchors (M, D) and theirs
    (M,), and returns (N,): the mean over the pairs or triplets that begin at the image, summed over
    the parts of the loss.
    """
    from pytorch_metric_learning.reducers import DoNothingReducer

    loss = metric_loss(name, reducer=DoNothingReducer())

    def by_image(
        embeddings: torch.Tensor, labels: torch.Tensor, anchors: torch.Tensor, owners: torch.Tensor
    ) -> torch.Tensor:
        parts = loss(embeddings, labels, ref_emb=anchors, ref_labels=owners)
        total = embeddings.new_zeros(len(embeddings))
        for part in parts.values():
            values, indices = part["losses"], part["indices"]
            if not torch.is_tensor(values):
                continue
            first = indices[0] if isinstance(indices, tuple) else indices
            sums = torch.zeros_like(total).index_add(0, first, values.flatten())
            counts = torch.bincount(first, minlength=len(total)).clamp(min=1)
            total = total + sums / counts
        return total

    return by_image


def similarity(name: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a distance of pytorch-metric-learning, with its sign such that larger is nearer.

    Raises:
        SpecError: there is none of that name.
    """
    from pytorch_metric_learning import distances

    if name not in _DISTANCES:
        raise unknown("distance", name, list(_DISTANCES))
    kind, settings = _DISTANCES[name]
    distance = getattr(distances, kind)(**settings)
    sign = 1 if distance.is_inverted else -1

    def near(embeddings: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = sign * distance(embeddings, stored)
        return found

    return near

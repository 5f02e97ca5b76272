"""Training losses by name; metric losses and miners come from pytorch-metric-learning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.surrogates import LossesByLabel
from bench.errors import SpecError
from bench.registry import unknown
from bench.train.recipe import CROSS_ENTROPY, LOSSES_WITHOUT_ANCHORS, Recipe

#: From outputs of the network (N, D) and labels (N,) to the loss.
Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: `ranked-list` is that of Wang et al. (2019), not the ranking loss of dos Santos et al. (2015) that the study of deep
#: metric learning describes and gives no figures of.
_LOSSES = {
    "contrastive": "ContrastiveLoss",
    "triplet": "TripletMarginLoss",
    "angular": "AngularLoss",
    "ranked-list": "RankedListLoss",
    "multi-similarity": "MultiSimilarityLoss",
}
#: Settings without a default in the library.
_SETTINGS: dict[str, dict[str, float]] = {"ranked-list": {"margin": 0.4, "Tn": 10}}


def objective(recipe: Recipe) -> Objective:
    """Return the loss of a recipe.

    Raises:
        SpecError: an unknown loss or miner, or a miner without a metric loss.
    """
    if recipe.loss == CROSS_ENTROPY:
        if recipe.miner:
            raise SpecError(f"recipe: the miner {recipe.miner!r} needs a metric loss")
        return nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    loss = metric_loss(recipe.loss)
    miner = _miner(recipe.miner)

    def mined(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = loss(embeddings, labels, miner(embeddings, labels) if miner else None)
        return value

    return mined


def correct(recipe: Recipe, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return how many images of a batch are classified correctly; embeddings by their nearest neighbour."""
    if not recipe.embedding:
        return (outputs.argmax(1) == labels).sum()
    unit = F.normalize(outputs)
    nearest = (unit @ unit.T).fill_diagonal_(-torch.inf).argmax(1)
    return (labels[nearest] == labels).sum()


def metric_loss(name: str, **settings: Any) -> Any:
    """Return a loss of pytorch-metric-learning by its name in recipes.

    Raises:
        SpecError: no such loss.
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


def losses_by_label(name: str) -> LossesByLabel | None:
    """Return a metric loss against stored anchors, with one value per image and possible label.

    It is the mean over the pairs or triplets that the image would form with that label, summed over the
    parts of the loss; None for a loss that takes no anchors. The two common losses are written out, since
    the library lists all triplets at every call; tests compare the two.
    """
    if name in LOSSES_WITHOUT_ANCHORS:
        return None
    return {"contrastive": _contrastive, "triplet": _triplet}.get(name) or _by_library(name)


def _contrastive(
    embeddings: torch.Tensor, anchors: torch.Tensor, owners: torch.Tensor, classes: int
) -> torch.Tensor:
    loss = metric_loss("contrastive")
    apart = loss.distance(embeddings, anchors)
    own = nn.functional.one_hot(owners, classes).to(apart)
    pulled, pushed = (apart - loss.pos_margin).relu(), (loss.neg_margin - apart).relu()
    losses: torch.Tensor = _mean(pulled, own) + _mean(pushed, 1 - own)
    return losses


def _mean(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the means (N, C) of values (N, M) over the chosen ones (M, C); 0 where none is chosen."""
    return values @ chosen / chosen.sum(0).clamp(min=1)


def _triplet(
    embeddings: torch.Tensor, anchors: torch.Tensor, owners: torch.Tensor, classes: int
) -> torch.Tensor:
    loss = metric_loss("triplet")
    apart = loss.distance(embeddings, anchors)
    columns = []
    for label in range(classes):
        own, others = apart[:, owners == label], apart[:, owners != label]
        violations = (own.unsqueeze(2) - others.unsqueeze(1) + loss.margin).relu()
        columns.append(violations.flatten(1).sum(1) / max(1, violations[0].numel()))
    return torch.stack(columns, dim=1)


def _by_library(name: str) -> LossesByLabel:
    """Return a loss of the library, evaluated for every image under every label."""
    from pytorch_metric_learning.reducers import DoNothingReducer

    loss = metric_loss(name, reducer=DoNothingReducer())

    def by_label(
        embeddings: torch.Tensor, anchors: torch.Tensor, owners: torch.Tensor, classes: int
    ) -> torch.Tensor:
        labels = torch.arange(classes, device=embeddings.device).repeat(len(embeddings))
        each = embeddings.repeat_interleave(classes, dim=0)
        parts = loss(each, labels, ref_emb=anchors, ref_labels=owners)
        total = each.new_zeros(len(each))
        for part in parts.values():
            values, indices = part["losses"], part["indices"]
            if not torch.is_tensor(values):
                continue
            first = indices[0] if isinstance(indices, tuple) else indices
            sums = torch.zeros_like(total).index_add(0, first, values.flatten())
            counts = torch.bincount(first, minlength=len(total)).clamp(min=1)
            total = total + sums / counts
        return total.view(-1, classes)

    return by_label

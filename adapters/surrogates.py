"""Differentiable surrogates of a k-NN vote, which has no gradient: modules from images to logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.knn_index import ABSENT, KnnIndex

#: How many stored images of each class are summed over, or k + 1 if that is more, since up to k images
#: of one class vote.
NEAREST = 8
#: Similarities (about 1 at most) are multiplied by this to give logits, so that a loss does not saturate.
_SCALE = 16.0
#: The logit of a class without a stored image, which never gets a vote.
_NEVER = -1e4

#: Embeddings (N, D), anchors (M, D), their labels (M,) and the number of classes C to losses (N, C),
#: one for each label an image might have.
LossesByLabel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]


class _OverNearest(nn.Module):
    """A surrogate over the nearest stored images of each class.

    The search has no gradient; the gradient flows through the similarities to the images found.
    """

    def __init__(self, embed: nn.Module, index: KnnIndex) -> None:
        super().__init__()
        self.embed, self.index = embed, index

    def by_class(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """Return the similarities of images to the nearest stored images of each class, (N, C, L)."""
        embeddings = self.embed(x)
        return self.index.similarity(embeddings, self.index.nearest(embeddings, count))


class SoftNeighbours(_OverNearest):
    """A differentiable vote.

    score_c = log of the sum over the nearest stored i of class c of sigmoid((s_i - t) / tau), with t
    midway between the k-th and the (k+1)-th similarity: a stored image counts as one or nothing as
    tau falls.
    """

    def __init__(self, embed: nn.Module, index: KnnIndex, k: int, temperature: float) -> None:
        super().__init__(embed, index)
        self.k, self.temperature = k, temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, C), scaled by tau."""
        scores = soft_votes(self.by_class(x, candidates(self.k)), self.k, self.temperature)
        return (_SCALE * self.temperature * scores).clamp(min=_NEVER)


def candidates(k: int) -> int:
    """Return how many stored images of each class a differentiable vote of k sums over."""
    return max(NEAREST, k + 1)


def soft_votes(similarity: torch.Tensor, k: int, temperature: float) -> torch.Tensor:
    """Return the scores (N, C) of a differentiable vote; see `SoftNeighbours`.

    Args:
        similarity: (N, C, L), the largest similarities to stored images of each class, padded with
            `ABSENT`. The score of a class without images is the lowest float.
        k: how many vote; if there are at most k images, each counts fully.
        temperature: tau, in units of similarity.
    """
    of_all_classes = similarity.flatten(1)
    if of_all_classes.shape[1] > k:
        middle = of_all_classes.topk(k + 1, dim=1).values[:, -2:].mean(1)
    else:
        middle = of_all_classes.new_full((len(of_all_classes),), ABSENT)
    terms = F.logsigmoid((similarity - middle.view(-1, 1, 1)) / temperature)
    lowest = torch.finfo(terms.dtype).min
    return terms.masked_fill(similarity == ABSENT, lowest).logsumexp(2)


class NearestOfClass(_OverNearest):
    """logit_c = the largest similarity to a stored image of class c."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the largest similarities (N, C), scaled."""
        return (_SCALE * self.by_class(x, 1).squeeze(2)).clamp(min=_NEVER)


class MetricLoss(nn.Module):
    """logit_c = -(training loss between an image and stored anchors if its label were c)."""

    anchors: torch.Tensor
    anchor_labels: torch.Tensor
    absent: torch.Tensor

    def __init__(
        self,
        embed: nn.Module,
        anchors: torch.Tensor,
        anchor_labels: torch.Tensor,
        classes: int,
        losses: LossesByLabel,
    ) -> None:
        super().__init__()
        self.embed, self.losses, self.classes = embed, losses, classes
        absent = torch.bincount(anchor_labels, minlength=classes) == 0
        self.register_buffer("anchors", anchors, persistent=False)
        self.register_buffer("anchor_labels", anchor_labels, persistent=False)
        self.register_buffer("absent", absent, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the negative loss (N, C) for each label that an image might have, scaled."""
        losses = self.losses(self.embed(x), self.anchors, self.anchor_labels, self.classes)
        return (-_SCALE * losses).masked_fill(self.absent, _NEVER)

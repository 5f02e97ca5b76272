"""What an attack may climb in place of a vote, which has no gradient: modules from images to logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.neighbours import Bank, Similarity

#: Stored images of each class that are summed over: all others are too far to count.
_NEAREST = 32
#: Logits are similarities of at most about 1 times this, so that a loss over them does not saturate.
_SCALE = 16.0


class _OverBank(nn.Module):
    """A surrogate over a bank, which moves with the module."""

    embeddings: torch.Tensor

    def __init__(self, embed: nn.Module, bank: Bank, similarity: Similarity) -> None:
        super().__init__()
        self.embed = embed
        self.similarity = similarity
        self.sizes = torch.bincount(bank.labels).tolist()
        self.register_buffer("embeddings", bank.embeddings, persistent=False)

    def by_class(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the similarities of images with the stored ones of each class."""
        near = self.similarity(self.embed(x), self.embeddings)
        return torch.split(near, self.sizes, dim=1)


class SoftNeighbours(_OverBank):
    """A differentiable vote.

    score_c = log of the sum over the stored i of class c of sigmoid((s_i - t) / tau), with t midway
    between the k-th and the (k+1)-th similarity: a stored image counts as one or nothing as tau falls.
    """

    def __init__(
        self, embed: nn.Module, bank: Bank, similarity: Similarity, k: int, temperature: float
    ) -> None:
        super().__init__(embed, bank, similarity)
        self.k, self.temperature = k, temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, C), scaled by tau."""
        return _SCALE * self.temperature * soft_votes(self.by_class(x), self.k, self.temperature)


def soft_votes(similarities: tuple[torch.Tensor, ...], k: int, temperature: float) -> torch.Tensor:
    """Return the scores (N, C) of a differentiable vote; see `SoftNeighbours`.

    Args:
        similarities: (N, M_c) for each class c.
        k: how many vote.
        temperature: tau, in units of similarity.
    """
    nearest = [part.topk(min(max(_NEAREST, k + 1), part.shape[1]), dim=1).values
               for part in similarities]  # fmt: skip
    ranked = (
        torch.cat(nearest, 1).topk(min(k + 1, sum(part.shape[1] for part in nearest)), 1).values
    )
    middle = (ranked[:, -2:-1] + ranked[:, -1:]) / 2
    return torch.stack(
        [F.logsigmoid((part - middle) / temperature).logsumexp(1) for part in nearest], dim=1
    )


class NearestOfClass(_OverBank):
    """logit_c = the largest similarity to a stored image of class c."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the largest similarities (N, C), scaled."""
        return _SCALE * torch.stack([part.amax(1) for part in self.by_class(x)], dim=1)


class MetricLoss(nn.Module):
    """logit_c = -(training loss between an image and stored anchors, were its label c)."""

    anchors: torch.Tensor
    anchor_labels: torch.Tensor

    def __init__(
        self,
        embed: nn.Module,
        anchors: torch.Tensor,
        anchor_labels: torch.Tensor,
        loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> None:
        super().__init__()
        self.embed, self.loss = embed, loss
        self.classes = int(anchor_labels.max()) + 1
        self.register_buffer("anchors", anchors, persistent=False)
        self.register_buffer("anchor_labels", anchor_labels, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return minus the loss (N, C) for each label that an image might have."""
        embedded = self.embed(x)
        supposed = torch.arange(self.classes, device=x.device).repeat(len(x))
        each = embedded.repeat_interleave(self.classes, dim=0)
        losses = self.loss(each, supposed, self.anchors, self.anchor_labels)
        return -_SCALE * losses.view(len(x), self.classes)

"""Metric learning: an embedding, a bank of embedded training images, and the vote of the nearest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from bench.adapters.losses import per_image_loss
from bench.adapters.network import eval_mode, weights_digest
from bench.errors import SpecError
from bench.spec import Loss, ModelSpec, Prediction

#: Similarity of embeddings (N, D) with stored ones (M, D): (N, M), larger is nearer.
Similarity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Embedded training images, sorted by class.

    Attributes:
        embeddings: float32 (M, D).
        labels: int64 (M,), ascending.
        data: the data set they come from.
        split: and its split.
        indices: which images of it, in words: `all`, or a range such as `0-1999`.
        checksum: of the images and labels themselves.
    """

    embeddings: torch.Tensor
    labels: torch.Tensor
    data: str
    split: str
    indices: str
    checksum: str

    def title(self) -> str:
        """Return the name of the bank: data set, split and indices."""
        return f"{self.data} {self.split} {self.indices}"


def votes(similarity: torch.Tensor, labels: torch.Tensor, k: int, num_classes: int) -> Prediction:
    """Return what the k most similar stored images vote for.

    Args:
        similarity: (N, M), larger is nearer.
        labels: of the stored images (M,).
        k: how many vote; more than M are M.
        num_classes: C.

    Returns:
        The class with most votes, -1 where two have equally many; the shares of the votes (N, C).
    """
    nearest = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    counts = similarity.new_zeros(len(similarity), num_classes)
    counts.scatter_add_(1, labels[nearest], torch.ones_like(nearest, dtype=counts.dtype))
    most = counts.amax(1, keepdim=True)
    tied = (counts == most).sum(1) > 1
    return Prediction(counts.argmax(1).masked_fill(tied, -1), counts / nearest.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighboursAdapter:
    """A vote of the k nearest stored images, as a model of the benchmark.

    The vote itself has no gradient; what an attack may climb instead are `surrogates`, each a
    module from images to logits.

    Attributes:
        embed: images (N, C, H, W) in [0, 1] to embeddings (N, D).
        similarity: of embeddings with those of the bank.
        distance: its name.
        settings: what else decides the surrogates, such as a temperature, in words.
    """

    spec: ModelSpec
    embed: nn.Module
    bank: Bank
    k: int
    distance: str
    similarity: Similarity
    surrogates: Mapping[str, nn.Module]
    settings: str = ""

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the vote, -1 where it is tied, and the share of each class in it."""
        with eval_mode(self.embed), torch.no_grad():
            similarity = self.similarity(self.embed(x), self.bank.embeddings.to(x.device))
        labels = self.bank.labels.to(x.device)
        return votes(similarity, labels, self.k, self.spec.num_classes)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's loss on a surrogate, (N, C, H, W).

        Raises:
            SpecError: there is no such surface.
        """
        name = surface or next(iter(self.surrogates))
        if name not in self.surrogates:
            raise SpecError(
                f"{self.spec.name} has no surface {name!r}; it has: {', '.join(self.surrogates)}"
            )
        module = self.surrogates[name]
        x = x.detach().clone().requires_grad_()
        with eval_mode(module), torch.enable_grad():
            total = per_image_loss(module(x), y, loss).sum()
            (gradient,) = torch.autograd.grad(total, x)
        return gradient

    def surfaces(self) -> Mapping[str, nn.Module]:
        return self.surrogates

    def fingerprint(self) -> str:
        """Return a digest of weights, the bank's images, k, distance and the surrogates' settings."""
        digest = hashlib.sha256(weights_digest(self.embed).encode())
        digest.update(f"{self.bank.title()} {self.bank.checksum}".encode())
        digest.update(f"{self.k} {self.distance} {self.settings}".encode())
        return digest.hexdigest()[:20]

"""Metric learning: an embedding, embedded training images, and the vote of the nearest of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.adapters.network import eval_mode, surface_gradient, weights_digest
from bench.adapters.stored import Bank, Stored
from bench.spec import Loss, ModelSpec, Prediction


def votes(similarity: torch.Tensor, labels: torch.Tensor, k: int, num_classes: int) -> Prediction:
    """Return what the k most similar stored images vote for.

    Args:
        similarity: (N, M), larger is nearer.
        labels: of the stored images, (M,), or (N, M) where each row has others.
        k: how many vote; more than M are M.
        num_classes: C.

    Returns:
        The class with most votes, -1 where two have equally many; the shares of the votes (N, C).
    """
    nearest = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    counts = similarity.new_zeros(len(similarity), num_classes)
    chosen = labels.expand_as(similarity).gather(1, nearest)
    counts.scatter_add_(1, chosen, torch.ones_like(nearest, dtype=counts.dtype))
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
        stored: the images that vote.
        k: how many of them do.
        surrogates: by name.
        settings: what else decides the surrogates, such as a temperature, in words.
        agreement: how well the differentiable vote repeats the vote, and where that was measured.
    """

    spec: ModelSpec
    embed: nn.Module
    stored: Stored
    k: int
    surrogates: Mapping[str, nn.Module]
    settings: str = ""
    agreement: Mapping[str, Any] | None = None

    @property
    def bank(self) -> Bank:
        """Return the images that vote, as they were embedded."""
        return self.stored.bank

    @property
    def distance(self) -> str:
        """Return the name of the distance."""
        return self.stored.distance.name

    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the vote, -1 where it is tied, and the share of each class in it."""
        with eval_mode(self.embed), torch.no_grad():
            embeddings = self.embed(x)
            # No more than k of a class can be among the k nearest.
            nearest = torch.cat(self.stored.nearest(embeddings, self.k), dim=1)
            near = self.stored.similarity(embeddings, nearest)
        return votes(near, self.stored.labels[nearest], self.k, self.spec.num_classes)

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's loss on a surrogate, (N, C, H, W).

        Raises:
            SpecError: there is no such surface.
        """
        return surface_gradient(self.spec.name, self.surrogates, x, y, loss, surface)

    def surfaces(self) -> Mapping[str, nn.Module]:
        return self.surrogates

    def fingerprint(self) -> str:
        """Return a digest of weights, the bank's images, k, distance and the surrogates' settings."""
        digest = hashlib.sha256(weights_digest(self.embed).encode())
        digest.update(f"{self.bank.title()} {self.bank.checksum}".encode())
        digest.update(f"{self.k} {self.distance} {self.settings}".encode())
        return digest.hexdigest()[:20]

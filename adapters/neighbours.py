"""Metric learning: an embedding, embedded training images, and the vote of the nearest of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.adapters.network import eval_mode, network_digest, surface_gradient
from bench.adapters.stored import ABSENT, Bank, Stored
from bench.registry import users_code
from bench.spec import Loss, ModelSpec, Prediction


def votes(similarity: torch.Tensor, k: int) -> Prediction:
    """Return what the k most similar stored images vote for.

    Args:
        similarity: (N, C, L), to L stored images of each class, larger is nearer; `ABSENT` where
            there is no such image.
        k: how many vote; of fewer, all do.

    Returns:
        The class with most votes, -1 where two have equally many; the shares of the votes (N, C).
    """
    _, classes, width = similarity.shape
    nearest = similarity.flatten(1).topk(min(k, classes * width), dim=1)
    counts = similarity.new_zeros(len(similarity), classes)
    counts.scatter_add_(1, nearest.indices // width, (nearest.values > ABSENT).to(counts.dtype))
    tied = (counts == counts.amax(1, keepdim=True)).sum(1) > 1
    return Prediction(counts.argmax(1).masked_fill(tied, -1), counts / counts.sum(1, keepdim=True))


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
        recipe: whether the embedding is one of Crossfire's, see `network_digest`.
    """

    spec: ModelSpec
    embed: nn.Module
    stored: Stored
    k: int
    surrogates: Mapping[str, nn.Module]
    settings: str = ""
    agreement: Mapping[str, Any] | None = None
    recipe: bool = False

    @property
    def bank(self) -> Bank:
        """Return the images that vote, as they were embedded."""
        return self.stored.bank

    @property
    def distance(self) -> str:
        """Return the name of the distance."""
        return self.stored.distance.name

    @users_code()
    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the vote, -1 where it is tied, and the share of each class in it."""
        with eval_mode(self.embed), torch.no_grad():
            embeddings = self.embed(x)
            # No more than k of a class can be among the k nearest.
            nearest = self.stored.nearest(embeddings, self.k)
            return votes(self.stored.similarity(embeddings, nearest), self.k)

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
        digest = hashlib.sha256(network_digest(self.embed, self.recipe).encode())
        digest.update(f"{self.bank.title()} {self.bank.checksum}".encode())
        digest.update(f"{self.k} {self.distance} {self.settings}".encode())
        return digest.hexdigest()[:20]

"""Metric learning: an embedding, embedded training images, and the vote of the nearest ones."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.adapters.knn_index import ABSENT, KnnIndex, ReferenceSet
from bench.adapters.modes import eval_mode
from bench.adapters.network import network_digest, surface_gradient
from bench.registry import users_code
from bench.spec import ImageSet, Loss, ModelSpec, Prediction


def votes(similarity: torch.Tensor, k: int) -> Prediction:
    """Return what the k most similar stored images vote for.

    Args:
        similarity: (N, C, L), to L stored images of each class, larger is nearer; `ABSENT` where
            there is no such image.
        k: how many vote; all of them if there are fewer.

    Returns:
        The class with most votes, -1 for a tie; the shares of the votes (N, C).
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

    The vote has no gradient. White-box attacks use its `surrogates`, modules from images to logits.

    Attributes:
        embed: images (N, C, H, W) in [0, 1] to embeddings (N, D).
        index: the stored images.
        k: how many of them vote.
        surrogates: by name.
        settings: what else the surrogates depend on, such as a temperature, as text.
        agreement: how often the differentiable vote agrees with the vote, and where that was measured.
        recipe: whether Crossfire trained the embedding by a recipe, see `network_digest`.
    """

    spec: ModelSpec
    embed: nn.Module
    index: KnnIndex
    k: int
    surrogates: Mapping[str, nn.Module]
    settings: str = ""
    agreement: Mapping[str, Any] | None = None
    recipe: bool = False

    @property
    def reference_set(self) -> ReferenceSet:
        """Return the embedded images that vote."""
        return self.index.reference_set

    @property
    def distance(self) -> str:
        """Return the name of the distance."""
        return self.index.distance.name

    @users_code()
    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the vote, -1 for a tie, and the share of the votes for each class."""
        with eval_mode(self.embed), torch.no_grad():
            embeddings = self.embed(x)
            # The k nearest images contain at most k of any class.
            nearest = self.index.nearest(embeddings, self.k)
            return votes(self.index.similarity(embeddings, nearest), self.k)

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

    @property
    def remembered(self) -> ImageSet:
        """Return the images that vote."""
        return ImageSet(data=self.reference_set.data, split=self.reference_set.split)

    def registered(self, name: str, data: str, ours: bool) -> NeighboursAdapter:
        """Return the model under its registered name; see `bench.adapters.abilities.Registrable`."""
        spec = dataclasses.replace(self.spec, name=name, data=data)
        return dataclasses.replace(self, spec=spec, recipe=ours)

    def facts(self) -> dict[str, Any]:
        """Return how often the differentiable vote agrees with the vote, as `surrogate`."""
        return {"surrogate": self.agreement}

    def fingerprint(self) -> str:
        """Return a digest of the weights, the reference set, k, the distance and the surrogates' settings."""
        digest = hashlib.sha256(network_digest(self.embed, self.recipe).encode())
        digest.update(f"{self.reference_set.title()} {self.reference_set.checksum}".encode())
        digest.update(f"{self.k} {self.distance} {self.settings}".encode())
        return digest.hexdigest()[:20]

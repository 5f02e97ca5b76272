"""Features: a frozen trunk under a classifier of scikit-learn, as a model of the benchmark."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.adapters.modes import eval_mode
from bench.adapters.network import network_digest, surface_gradient
from bench.adapters.surrogates import SoftNeighbours
from bench.adapters.tops import Top
from bench.registry import users_code
from bench.spec import ImageSet, Loss, ModelSpec, Prediction

#: The names of surfaces: the classifier's own scores, a differentiable vote, a network fitted to a forest.
EXACT_SURFACE, SOFT_SURFACE, DISTILLED_SURFACE = "exact", "soft-knn", "distilled"


class OnFeatures(nn.Module):
    """A surface: images to features, scaled features and logits in single precision."""

    def __init__(
        self, trunk: nn.Module, steps: nn.Module, scores: nn.Module, temperature: float
    ) -> None:
        super().__init__()
        self.trunk, self.steps, self.scores = trunk, steps, scores
        self.temperature = temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, C) of images (N, C, H, W) in [0, 1]."""
        scores: torch.Tensor = self.scores(self.steps(self.trunk(x)))
        return (scores / self.temperature).float()

    def extra_repr(self) -> str:
        """Return the temperature, which so is part of the fingerprint."""
        return f"temperature={self.temperature!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesAdapter:
    """A trunk, scaled features and a classifier on them.

    The classifier's parameters are those that scikit-learn fitted, kept as safetensors beside a card in JSON;
    no file of an estimator is ever unpickled.

    Attributes:
        trunk: images (N, C, H, W) in [0, 1] to features (N, D).
        steps: scale the features.
        top: the classifier.
        surrogates: its surfaces by name; none if only black-box attacks can reach it.
        known: facts for the log of a run: `trunk` (its name and what it was trained on), `surrogate` for a k-NN
            vote, `distilled` for a forest.
        recipe: whether Crossfire fitted the classifier by a recipe, see `network_digest`.
    """

    spec: ModelSpec
    trunk: nn.Module
    steps: nn.Sequential
    top: Top
    surrogates: Mapping[str, nn.Module]
    known: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    recipe: bool = False

    @users_code()
    def predict(self, x: torch.Tensor) -> Prediction:
        """Return the classifier's decision, and its scores in single precision.

        Those of naive Bayes are log-probabilities, those of a forest and of k-NN probabilities, others the
        decision function.
        """
        with eval_mode(self.trunk), torch.no_grad():
            scaled = self.steps(self.trunk(x.clone()))
            # A forest is no part of a surface, so it stays where it was made when the model is moved.
            labels, scores = self.top.decide(scaled.to(self.top.place()))
        return Prediction(labels.to(x.device), scores.float().to(x.device))

    def gradient(
        self, x: torch.Tensor, y: torch.Tensor, loss: Loss = "ce", surface: str | None = None
    ) -> torch.Tensor:
        """Return the gradient of each image's loss on a surface, (N, C, H, W).

        Raises:
            SpecError: there is no such surface, or none at all.
        """
        return surface_gradient(self.spec.name, self.surrogates, x, y, loss, surface)

    def surfaces(self) -> Mapping[str, nn.Module]:
        return self.surrogates

    def registered(self, name: str, data: str, ours: bool) -> FeaturesAdapter:
        """Return the model under its registered name; see `bench.adapters.abilities.Registrable`."""
        spec = dataclasses.replace(self.spec, name=name, data=data)
        return dataclasses.replace(self, spec=spec, recipe=ours)

    def facts(self) -> dict[str, Any]:
        """Return the trunk and what it was trained on, and how often a stand-in decides as the classifier."""
        return dict(self.known)

    @users_code()
    def fingerprint(self) -> str:
        """Return a digest of the trunk, of all parameters of the classifier, and of its surfaces."""
        parts = (self.trunk, self.steps, self.top)
        stand_ins = [module.scores for module in self.surrogates.values()
                     if isinstance(module, OnFeatures) and module.scores is not self.top]  # fmt: skip
        digests = [network_digest(part, self.recipe) for part in (*parts, *stand_ins)]
        temperatures = {
            name: module.temperature
            for name, module in self.surrogates.items()
            if isinstance(module, OnFeatures | SoftNeighbours)
        }
        return hashlib.sha256(f"{digests} {temperatures!r}".encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberingAdapter(FeaturesAdapter):
    """A vote of stored features, which must not be attacked on the images that these came from."""

    remembered: ImageSet

"""What a driver is given: one attack on one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.deepfool import likeliest_others
from bench.attacks.native.noise import ball_point
from bench.spec import AttackSpec

_INSIDE = 1e-3


class Batch(NamedTuple):
    """Images that are attacked together.

    Attributes:
        x: images, float32 (N, C, H, W) in [0, 1].
        y: int64 (N,), their labels.
        target: int64 (N,), the wanted classes of a targeted attack; else None.
    """

    x: torch.Tensor
    y: torch.Tensor
    target: torch.Tensor | None = None


class Perturbation(NamedTuple):
    """What is added to every image alike.

    Attributes:
        v: float32 (C, H, W).
        passes: how often the images it was fitted on were gone through.
        fooling: the share of them, clipped to [0, 1], that it takes to another class.
    """

    v: torch.Tensor
    passes: int
    fooling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attack on one batch of images, or one perturbation fitted on a set of them.

    Attributes:
        probe: the model, images to logits, frozen and counting.
        x: images, float32 (N, C, H, W) in [0, 1].
        y: int64 (N,), their labels.
        target: int64 (N,), the wanted classes; None for an untargeted attack.
        seed: of the harness's own draws.
    """

    spec: AttackSpec
    probe: Probe
    x: torch.Tensor
    y: torch.Tensor
    target: torch.Tensor | None
    num_classes: int
    seed: int

    @property
    def eps(self) -> float:
        """Return the radius of a fixed-budget attack."""
        radius = self.spec.radius
        if radius is None:
            raise TypeError(f"{self.spec.name} has no radius")
        return radius

    @property
    def goal(self) -> torch.Tensor:
        """Return the classes a toolkit is told: the wanted ones, or the labels to get away from."""
        return self.y if self.target is None else self.target

    def start(self) -> torch.Tensor | None:
        """Return where a descent begins, drawn alike for every toolkit; None for `x` itself."""
        if not dict(self.spec.parameters).get("random_start", False):
            return None
        delta = ball_point(self.x, self.spec.norm, self.eps, self.seed)
        return (self.x + delta).clamp(0, 1)

    def inside(self) -> torch.Tensor:
        """Return the images a hair inside (0, 1), where C&W begins.

        Pixels of exactly 0 or 1 are infinite in its tanh space: torchattacks never changes them,
        Foolbox hardly ever.
        """
        return self.x.clamp(_INSIDE, 1 - _INSIDE)

    def clean_unless_moved(self, found: torch.Tensor) -> torch.Tensor:
        """Return C&W's images with the clean image where it gave back its beginning: none found."""
        moved = (found != self.inside()).flatten(1).any(1)
        return torch.where(moved.view(-1, 1, 1, 1), found, self.x)

    def clean_unless_fooled(self, found: torch.Tensor) -> torch.Tensor:
        """Return images with the clean one where the goal is not reached, by a forward an image."""
        found = self.clean_unless_finite(found)
        with torch.no_grad():
            labels = self.probe(found).argmax(1)
        reached = labels != self.y if self.target is None else labels == self.target
        return torch.where(reached.view(-1, 1, 1, 1), found, self.x)

    def clean_unless_finite(self, found: torch.Tensor) -> torch.Tensor:
        """Return images with the clean one where there is no number: a step along no gradient."""
        finite = found.flatten(1).isfinite().all(1)
        return torch.where(finite.view(-1, 1, 1, 1), found, self.x)

    def aim(self) -> torch.Tensor:
        """Return the classes that an attack is led to which must have one, as JSMA.

        The wanted ones; of an untargeted attack the likeliest but the labels, by a forward an image.
        """
        if self.target is not None:
            return self.target
        with torch.no_grad():
            return likeliest_others(self.probe(self.x), self.y, 1).squeeze(1)

    def row_seed(self, row: int) -> int:
        """Return a seed for one image of the batch, whatever the others need."""
        return (self.seed + row) % 2**32

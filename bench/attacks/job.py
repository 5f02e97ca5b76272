"""What a driver gets: one attack on one batch."""

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
        target: int64 (N,), the target classes; None for an untargeted attack.
    """

    x: torch.Tensor
    y: torch.Tensor
    target: torch.Tensor | None = None


class Perturbation(NamedTuple):
    """A universal perturbation, which is added to every image.

    Attributes:
        v: float32 (C, H, W).
        passes: passes over the images it was fitted on.
        fooling: the share of them that it takes to another class, clipped to [0, 1].
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
        target: int64 (N,), the target classes; None for an untargeted attack.
        seed: of draws made by Crossfire instead of the toolkit.
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
        """Return the classes to give a toolkit: the targets, or the labels of an untargeted attack."""
        return self.y if self.target is None else self.target

    def start(self) -> torch.Tensor | None:
        """Return the random start, the same for every toolkit; None for a start at `x`."""
        if not dict(self.spec.parameters).get("random_start", False):
            return None
        delta = ball_point(self.x, self.spec.norm, self.eps, self.seed)
        return (self.x + delta).clamp(0, 1)

    def inside(self) -> torch.Tensor:
        """Return the images moved slightly into (0, 1), where C&W starts.

        Pixels of exactly 0 or 1 are infinite in its tanh space: torchattacks never changes them,
        Foolbox hardly ever.
        """
        return self.x.clamp(_INSIDE, 1 - _INSIDE)

    def clean_unless_moved(self, x_adv: torch.Tensor) -> torch.Tensor:
        """Return C&W's images, with the clean one where it returned its start, having found nothing."""
        moved = (x_adv != self.inside()).flatten(1).any(1)
        return torch.where(moved.view(-1, 1, 1, 1), x_adv, self.x)

    def clean_unless_fooled(self, x_adv: torch.Tensor) -> torch.Tensor:
        """Return images, with the clean one where the goal is not reached (one forward pass each)."""
        x_adv = self.clean_unless_finite(x_adv)
        with torch.no_grad():
            labels = self.probe(x_adv).argmax(1)
        reached = labels != self.y if self.target is None else labels == self.target
        return torch.where(reached.view(-1, 1, 1, 1), x_adv, self.x)

    def clean_unless_finite(self, x_adv: torch.Tensor) -> torch.Tensor:
        """Return images, with the clean one where values are not finite, as after a zero gradient."""
        finite = x_adv.flatten(1).isfinite().all(1)
        return torch.where(finite.view(-1, 1, 1, 1), x_adv, self.x)

    def aim(self) -> torch.Tensor:
        """Return the classes to aim at, for attacks such as JSMA that always need one.

        The targets; for an untargeted attack the likeliest classes but the labels (one forward pass
        each).
        """
        if self.target is not None:
            return self.target
        with torch.no_grad():
            return likeliest_others(self.probe(self.x), self.y, 1).squeeze(1)

    def row_seed(self, row: int) -> int:
        """Return a seed for one image, independent of the other images in the batch."""
        return (self.seed + row) % 2**32

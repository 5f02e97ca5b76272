"""The ball around each image that an attack stays in, in linf or l2, cut to [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

#: How far beyond eps rounding may take an image; the judge allows ten times as much.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Ball:
    """The images that an attack may return.

    Attributes:
        norm: `linf` or `l2`.
        eps: the radius.
    """

    norm: Literal["linf", "l2"]
    eps: float

    def length(self, way: torch.Tensor) -> torch.Tensor:
        """Return the length (N,) of perturbations (N, C, H, W)."""
        flat = way.flatten(1)
        return flat.abs().amax(1) if self.norm == "linf" else flat.norm(dim=1)

    def project(self, centre: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return the nearest images (N, C, H, W) of the balls around `centre`, cut to [0, 1]."""
        way = images - centre
        if self.norm == "linf":
            return (centre + way.clamp(-self.eps, self.eps)).clamp(0, 1)
        # Cutting to the box never leads farther from the centre, which lies in it.
        factor = (self.eps / self.length(way).clamp(min=1e-12)).clamp(max=1)
        return (centre + column(factor) * way).clamp(0, 1)

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the steepest step of length 1 for each gradient (N, C, H, W); 0 where that is 0."""
        if self.norm == "linf":
            return gradient.sign()
        # Scaled first, since the squares of small numbers vanish in float32.
        scaled = gradient / column(gradient.flatten(1).abs().amax(1).clamp(min=1e-30))
        return scaled / column(scaled.flatten(1).norm(dim=1).clamp(min=1e-12))

    def draw(self, centre: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a random image of each ball: uniform in linf, in l2 a direction and a length."""
        if self.norm == "linf":
            noise = torch.rand(centre.shape, generator=generator) * 2 - 1
            return (centre + self.eps * noise.to(centre)).clamp(0, 1)
        noise = torch.randn(centre.shape, generator=generator).to(centre)
        length = torch.rand(len(centre), generator=generator).to(centre)
        return (centre + self.eps * column(length) * self.direction(noise)).clamp(0, 1)

    def holds(self, centre: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return which images may be returned, bool (N,)."""
        flat = images.flatten(1)
        inside = (flat >= 0).all(1) & (flat <= 1).all(1)
        return inside & (self.length(images - centre) <= self.eps * (1 + _SLACK) + _SLACK)


def column(values: torch.Tensor) -> torch.Tensor:
    """Return values (N,) in a shape that goes with images, (N, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)

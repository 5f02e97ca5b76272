"""Defences that round: their gradient is zero, or points the wrong way, almost everywhere."""

from __future__ import annotations

import functools
import math

import torch
from torch import nn

import bench
from bench.spec import Adapter

from .ascent import Climb, climb, straight_through, walk, wrong
from .bases import CLASSES, SHAPE, base, still, trained
from .scene import Scene

EPS = 0.2
CLIMB = Climb(eps=EPS)


class Quantised(nn.Module):
    """A network behind images rounded to a few grey values."""

    def __init__(self, net: nn.Module, levels: int = 4) -> None:
        super().__init__()
        self.net, self.levels = net, levels

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        return torch.round(x * self.levels) / self.levels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.prepare(x))


class LeakyRounding(Quantised):
    """Rounding that keeps a trace of what it cut off, with the wrong sign: a gradient that is there and lies."""

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        rounded = super().prepare(x)
        return rounded - 0.05 * (x - rounded)


class Jpeg(nn.Module):
    """A network behind blocks of 8 x 8 pixels whose cosine coefficients are rounded, as JPEG does.

    Each channel by itself; the step grows with the frequency.
    """

    def __init__(self, net: nn.Module, step: float = 0.35, slope: float = 0.15) -> None:
        super().__init__()
        self.net = net
        at = torch.arange(8.0)
        cosines = torch.cos(math.pi / 8 * (at[None] + 0.5) * at[:, None]) * 0.5
        cosines[0] /= math.sqrt(2)
        self.register_buffer("cosines", cosines)
        self.register_buffer("steps", step * (1 + slope * (at[:, None] + at[None])))

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        blocks = x.view(n, c, h // 8, 8, w // 8, 8).transpose(3, 4)
        coefficients = self.cosines @ blocks @ self.cosines.T
        rounded = torch.round(coefficients / self.steps) * self.steps
        back = self.cosines.T @ rounded @ self.cosines
        return back.transpose(3, 4).reshape(n, c, h, w).clamp(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.prepare(x))


class Thermometer(nn.Module):
    """Each pixel as which of some levels it exceeds (Buckman et al., 2018), a channel a level."""

    def __init__(self, levels: int = 8) -> None:
        super().__init__()
        steps = (torch.arange(levels) + 0.5) / levels
        self.register_buffer("steps", steps.view(-1, 1, 1))
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.net = nn.Sequential(
                nn.Conv2d(levels, 16, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten(),
                nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, CLASSES),
            )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net((torch.sign(x - self.steps) + 1) / 2)


@functools.cache
def quantised() -> Adapter:
    return bench.wrap(Quantised(base()), CLASSES, SHAPE)


@functools.cache
def leaky() -> Adapter:
    return bench.wrap(LeakyRounding(base()), CLASSES, SHAPE)


@functools.cache
def jpeg() -> Adapter:
    return bench.wrap(still(Jpeg(base())), CLASSES, SHAPE)


@functools.cache
def thermometer() -> Adapter:
    return bench.wrap(trained(Thermometer(), epochs=8), CLASSES, SHAPE)


def through(defended: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack as if the preparation were the identity (BPDA), then walk at random on what is left.

    Up to ten starts of 60 steps on the margin, at the nearest wrong class and at each of four; the
    defended model is asked every fifth step. A walk of 500 questions for the images that remain.
    """
    found = climb(
        straight_through(defended.prepare, defended.net), wrong(defended), x, y, CLIMB
    )  # fmt: skip
    return survivors_walk(defended, x, y, found)


def survivors_walk(
    defended: nn.Module, x: torch.Tensor, y: torch.Tensor, found: torch.Tensor
) -> torch.Tensor:
    """Walk at random on those images that are still labelled rightly."""
    left = ~wrong(defended)(found, y)
    if left.any():
        found[left] = walk(defended, x[left], y[left], EPS)
    return found


def attack_thermometer(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack with each step of the code made a steep slope, as wide as the distance of two levels.

    The gradient goes through the slopes, the forward pass through them too; the defended model is asked.
    """
    defended = thermometer().module
    levels = len(defended.steps)

    def sloped(z: torch.Tensor) -> torch.Tensor:
        return defended.net(((z - defended.steps) * levels * 0.5 + 0.5).clamp(-0.02, 1.02))

    def sharp(z: torch.Tensor) -> torch.Tensor:
        soft = torch.sigmoid((z - defended.steps) * 2 * levels)
        hard = (torch.sign(z - defended.steps) + 1) / 2
        return defended.net(soft + (hard - soft).detach())

    found = climb(sharp, wrong(defended), x, y, CLIMB)
    left = ~wrong(defended)(found, y)
    if left.any():
        found[left] = climb(sloped, wrong(defended), x[left], y[left], CLIMB)
    return survivors_walk(defended, x, y, found)


SCENES = (
    Scene(
        name="quantised input",
        before=85.0,
        left=0.5,
        build=quantised,
        handmade=lambda x, y: through(quantised().module, x, y),
    ),
    Scene(
        name="JPEG-like rounding",
        before=82.0,
        left=0.0,
        build=jpeg,
        handmade=lambda x, y: through(jpeg().module, x, y),
    ),
    Scene(
        name="thermometer coding",
        before=87.0,
        left=0.0,
        build=thermometer,
        handmade=attack_thermometer,
    ),
    Scene(
        name="leaky rounding",
        before=89.0,
        left=0.5,
        build=leaky,
        handmade=lambda x, y: through(leaky().module, x, y),
    ),
)

"""Defences whose softmax saturates: the loss is 0 in float32, and so is its gradient."""

from __future__ import annotations

import functools

import torch
from torch import nn

import bench
from bench.spec import Adapter

from .ascent import Climb, Logits, climb, wrong
from .bases import CLASSES, SHAPE, base, perceptron, trained
from .scene import Scene

CLIMB = Climb(eps=0.2)
TEMPERATURE = 100.0


class Scaled(nn.Module):
    """A network with its logits multiplied."""

    def __init__(self, net: nn.Module, factor: float) -> None:
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.net(x)


class Percent(nn.Module):
    """A network that ends in a softmax and gives percents where logits are asked for."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * self.net(x).softmax(1)


@functools.cache
def scaled() -> Adapter:
    return bench.wrap(Scaled(base(), 1000.0), CLASSES, SHAPE)


@functools.cache
def percent() -> Adapter:
    return bench.wrap(Percent(base()), CLASSES, SHAPE)


@functools.cache
def distilled() -> Adapter:
    """Return a network trained at a high temperature on another's answers (Papernot et al., 2016)."""
    teacher = trained(perceptron(), epochs=40, temperature=TEMPERATURE)
    student = trained(perceptron(seed=1), epochs=60, temperature=TEMPERATURE, teacher=teacher)
    return bench.wrap(student, CLASSES, SHAPE)


def on_logits(logits: Logits, model: Adapter, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the margin of the logits before whatever saturates; a margin needs no softmax.

    Up to ten starts of 60 steps, at the nearest wrong class and at each of four (Carlini and Wagner, 2017).
    """
    return climb(logits, wrong(model.surfaces()["network"]), x, y, CLIMB)


SCENES = (
    Scene(
        name="scaled logits",
        before=89.5,
        left=0.5,
        build=scaled,
        without=("deepfool",),
        handmade=lambda x, y: on_logits(base(), scaled(), x, y),
    ),
    Scene(
        name="probabilities as logits",
        before=45.0,
        left=0.5,
        build=percent,
        handmade=lambda x, y: on_logits(base(), percent(), x, y),
    ),
    Scene(
        name="defensive distillation",
        before=65.5,
        left=0.0,
        build=distilled,
        without=("deepfool",),
        handmade=lambda x, y: on_logits(distilled().module, distilled(), x, y),
    ),
)

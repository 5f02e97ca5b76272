"""Three of the defences around the shipped network of CIFAR-10, at linf 8/255; they need the real data."""

from __future__ import annotations

import functools

import torch
from torch import nn

import bench
from bench.spec import Adapter

from .ascent import Climb, Logits, climb, straight_through, wrong
from .bases import still
from .cut import MoreSure
from .rounding import Jpeg, Quantised
from .scene import Scene

EPS = "8/255"
CLIMB = Climb(eps=8 / 255, steps=40, starts=4, ranks=3)


@functools.cache
def shipped() -> nn.Module:
    return still(bench.load_model("cifar10/cnn").module)


def _wrapped(defended: nn.Module) -> Adapter:
    return bench.wrap(still(defended), 10, (3, 32, 32))


@functools.cache
def quantised() -> Adapter:
    return _wrapped(Quantised(shipped(), levels=12))


@functools.cache
def jpeg() -> Adapter:
    return _wrapped(Jpeg(shipped(), step=0.12))


@functools.cache
def inner_loop() -> Adapter:
    return _wrapped(MoreSure(shipped(), steps=4, size=0.02))


def against(surface: Logits, model: Adapter, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the margin of a surface, four starts of 40 steps, the model asked every fifth step."""
    return climb(surface, wrong(model.surfaces()["network"]), x, y, CLIMB)


def through(model: Adapter, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack as if the preparation were the identity (BPDA); see `against`."""
    defended = model.module
    return against(straight_through(defended.prepare, defended.net), model, x, y)


_ALIKE = {"data": "cifar10", "eps": EPS, "count": 100, "without": ("deepfool",)}
SCENES = (
    Scene(
        name="quantised photographs",
        before=81.0,
        left=0.0,
        build=quantised,
        **_ALIKE,
        handmade=lambda x, y: through(quantised(), x, y),
    ),
    Scene(
        name="JPEG-like rounding of photographs",
        before=68.0,
        left=0.0,
        build=jpeg,
        **_ALIKE,
        handmade=lambda x, y: through(jpeg(), x, y),
    ),
    Scene(
        name="autograd loop on photographs",
        before=26.0,
        left=0.0,
        build=inner_loop,
        **_ALIKE,
        handmade=lambda x, y: against(shipped(), inner_loop(), x, y),
    ),
)

"""Defences that cut the graph: a gradient of a side branch, of an inner loop, or none at all."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn import functional as F

import bench
from bench.spec import Adapter

from .ascent import Climb, climb, straight_through, walk, wrong
from .bases import CLASSES, SHAPE, base, still
from .scene import Scene

CLIMB = Climb(eps=0.2)


class DetachedHead(nn.Module):
    """A frozen network, its answers detached, beside a small branch that is trained on top of it.

    The branch alone has a gradient.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.branch = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).detach() + 0.1 * self.branch(x)


class Interrupted(nn.Module):
    """A network behind a preparation in numpy, where torch's graph ends."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stretched = x.detach().cpu().numpy() ** 0.9
        return self.net(torch.from_numpy(stretched).to(x.device))


class MoreSure(nn.Module):
    """A network that first moves each image to where it is surer of its own decision.

    The anti-adversary of Alfarra et al. (2022): each image is moved by some signed gradient steps that lower
    the cross-entropy of the decision, inside the forward pass. No gradient goes through the steps, and where
    they end the loss is flat.
    """

    def __init__(self, net: nn.Module, steps: int = 8, size: float = 0.08) -> None:
        super().__init__()
        self.net, self.steps, self.size = net, steps, size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        decided = self.net(x).argmax(1).detach()
        moved = torch.zeros_like(x)
        for _ in range(self.steps):
            with torch.enable_grad():
                inner = (x + moved).detach().requires_grad_()
                loss = F.cross_entropy(self.net(inner), decided, reduction="sum")
                (slope,) = torch.autograd.grad(loss, inner)
            moved = moved - self.size * slope.sign()
        return self.net(x + moved)


@functools.cache
def detached() -> Adapter:
    return bench.wrap(still(DetachedHead(base())), CLASSES, SHAPE)


@functools.cache
def interrupted() -> Adapter:
    return bench.wrap(Interrupted(base()), CLASSES, SHAPE)


@functools.cache
def inner_loop() -> Adapter:
    return bench.wrap(MoreSure(base()), CLASSES, SHAPE)


def attack_detached(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the sum of both branches with the graph put together again."""
    model = detached().module
    return climb(lambda z: model.net(z) + 0.1 * model.branch(z), wrong(model), x, y, CLIMB)


def attack_interrupted(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the same function written in torch, with the identity as the gradient of the root.

    The root's own is infinite at black pixels. A random walk of 500 questions for what is left.
    """
    model = interrupted().module
    surface = straight_through(lambda z: z**0.9, model.net)
    found = climb(surface, wrong(model), x, y, CLIMB)
    left = ~wrong(model)(found, y)
    if left.any():
        found[left] = walk(model, x[left], y[left], CLIMB.eps)
    return found


def attack_inner_loop(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the network without its loop: what it decides, the loop only confirms."""
    model = inner_loop().module
    return climb(model.net, wrong(model), x, y, CLIMB)


SCENES = (
    Scene(name="detached head", before=83.5, left=0.5, build=detached, handmade=attack_detached),
    Scene(
        name="interrupted graph",
        before=93.0,
        left=0.5,
        build=interrupted,
        handmade=attack_interrupted,
    ),
    Scene(
        name="autograd loop inside forward",
        before=28.0,
        left=0.5,
        build=inner_loop,
        handmade=attack_inner_loop,
    ),
)

"""A network whose gradient is true at each point and says nothing of the next: k-winners-take-all."""

from __future__ import annotations

import functools

import torch
from torch import nn

import bench
from bench.spec import Adapter

from .ascent import Climb, Logits, climb, walk, wrong
from .bases import CLASSES, SHAPE, trained
from .scene import Scene

EPS = 0.2


class WinnersTakeAll(nn.Module):
    """Keeps the largest activations of a layer and sets all others to 0 (Xiao et al., 2020)."""

    def __init__(self, winners: int) -> None:
        super().__init__()
        self.winners = winners

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        least = a.topk(self.winners, dim=1).values[:, -1:]
        return a * (a >= least)


@functools.cache
def winners() -> Adapter:
    with torch.random.fork_rng():
        torch.manual_seed(13)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 256), WinnersTakeAll(12), nn.Linear(256, 256),
            WinnersTakeAll(12), nn.Linear(256, CLASSES),
        )  # fmt: skip
    return bench.wrap(trained(net, epochs=12), CLASSES, SHAPE)


def averaged(net: Logits, radius: float, points: int, draw: torch.Generator) -> Logits:
    """Return the mean logits over random points of a small cube around each image."""

    def logits(x: torch.Tensor) -> torch.Tensor:
        many = x.repeat(points, 1, 1, 1)
        return (
            net(many + radius * (2 * torch.rand(many.shape, generator=draw) - 1))
            .view(points, len(x), -1)
            .mean(0)
        )

    return logits


def attack(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Walk at random by the scores alone, then attack the mean over 16 points of cubes of two sizes.

    A walk of 1,500 questions; for what is left three starts of 30 steps a size, the network asked every
    second step (Tramer et al., 2020, whose attack averages differences of the scores over many points).
    """
    net = winners().module
    found = walk(net, x, y, EPS, turns=1500)
    draw = torch.Generator().manual_seed(0)
    for radius in (0.1, 0.2):
        left = ~wrong(net)(found, y)
        if left.any():
            how = Climb(eps=EPS, steps=30, starts=3, look=2, ranks=2)
            found[left] = climb(averaged(net, radius, 16, draw), wrong(net), x[left], y[left], how)
    return found


SCENES = (Scene(name="k-winners-take-all", before=31.5, left=1.0, build=winners, handmade=attack),)

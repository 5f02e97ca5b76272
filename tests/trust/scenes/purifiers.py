"""Purifiers: an image is cleaned before it is classified, and no gradient comes through the cleaning."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn import functional as F

import bench
from bench.spec import Adapter

from .ascent import Climb, Logits, climb, straight_through, walk, within, wrong
from .bases import CLASSES, SHAPE, base, still
from .scene import Scene, images

EPS = 0.2
CLIMB = Climb(eps=EPS)


class Purified(nn.Module):
    """A network behind a purifier whose output has 8 bits, as a picture file has."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def clean(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        return torch.round(self.clean(x) * 255) / 255

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.prepare(x))


class Median(Purified):
    """Half of each pixel, half of the median of its 3 x 3 neighbourhood."""

    def clean(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        around = F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3).view(n, c, 9, h, w)
        return (x + around.median(2).values) / 2


class TotalVariation(Purified):
    """Some steps of descent on the total variation and the distance to the image (Guo et al., 2018)."""

    def clean(self, x: torch.Tensor) -> torch.Tensor:
        u = x
        for _ in range(10):
            down, right = u.diff(dim=2), u.diff(dim=3)
            down, right = (d / (d.square() + 1e-2).sqrt() for d in (down, right))
            pull = F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1))
            pull = pull + F.pad(right, (1, 0, 0, 0)) - F.pad(right, (0, 1, 0, 0))
            u = u - 0.1 * ((u - x) + 0.1 * pull)
        return u.clamp(0, 1)


class NearestNeighbour(Purified):
    """Each image is replaced by the mean of itself and of the nearest training image."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.register_buffer("bank", images("digits", None, "train")[0])

    def clean(self, x: torch.Tensor) -> torch.Tensor:
        nearest = torch.cdist(x.flatten(1), self.bank.flatten(1)).argmin(1)
        return (x + self.bank[nearest]) / 2


def _wrapped(defended: nn.Module) -> Adapter:
    return bench.wrap(still(defended), CLASSES, SHAPE)


@functools.cache
def median() -> Adapter:
    return _wrapped(Median(base()))


@functools.cache
def total_variation() -> Adapter:
    return _wrapped(TotalVariation(base()))


@functools.cache
def nearest_neighbour() -> Adapter:
    return _wrapped(NearestNeighbour(base()))


def attack(defended: Purified, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack with the purifier's true gradient but without the 8 bits, then with the identity, then walk.

    Ten starts of 60 steps each on the margin; a random walk of 500 questions for what is left.
    """
    found, surfaces = x.clone(), (
        lambda z: defended.net(defended.clean(z)),
        straight_through(defended.prepare, defended.net),
    )  # fmt: skip
    for surface in surfaces:
        left = ~wrong(defended)(found, y)
        if left.any():
            found[left] = climb(surface, wrong(defended), x[left], y[left], CLIMB)
    left = ~wrong(defended)(found, y)
    if left.any():
        found[left] = walk(defended, x[left], y[left], EPS)
    return found


def attack_neighbour(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack a soft choice of the neighbour, made harder bit by bit, from starts beside images of other classes.

    The weights of the training images are a softmax of their squared distances. Each start is the clean
    image moved as far as it may towards one of the 12 nearest training images of another class.
    """
    defended = nearest_neighbour().module
    bank, classes = defended.bank, images("digits", None, "train")[1]
    is_wrong = wrong(defended)

    def soft(sharpness: float) -> Logits:
        def logits(z: torch.Tensor) -> torch.Tensor:
            near = torch.cdist(z.flatten(1), bank.flatten(1)).square()
            mean = ((-sharpness * near).softmax(1) @ bank.flatten(1)).view_as(z)
            return defended.net((z + mean) / 2)

        return logits

    found = attack(defended, x, y)
    apart = torch.cdist(x.flatten(1), bank.flatten(1))
    apart = apart.masked_fill(y[:, None] == classes[None], torch.inf)
    targets = bank[apart.topk(12, largest=False).indices]
    for turn in range(12):
        for sharpness in (2.0, 8.0, 30.0):
            left = ~is_wrong(found, y)
            if not left.any():
                return found
            start = within(targets[left, turn], x[left], EPS)
            how = Climb(eps=EPS, starts=1, steps=40)
            found[left] = climb(soft(sharpness), is_wrong, x[left], y[left], how, start)
    return found


SCENES = (
    Scene(
        name="nearest-neighbour purifier", build=nearest_neighbour,
        handmade=attack_neighbour,
    ),
    Scene(
        name="median purifier", build=median,
        handmade=lambda x, y: attack(median().module, x, y),
    ),
    Scene(
        name="total-variation purifier", build=total_variation,
        handmade=lambda x, y: attack(total_variation().module, x, y),
    ),
)  # fmt: skip

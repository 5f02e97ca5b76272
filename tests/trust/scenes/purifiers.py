"""Purifiers: an image is cleaned before it is classified, and no gradient comes through the cleaning."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn import functional as F

import bench
from bench.spec import Adapter

from .ascent import Climb, Rise, climb, gradient, margin, straight_through, walk, within, wrong
from .bases import CLASSES, SHAPE, base, still
from .scene import Scene, images

EPS = 0.2
#: Of the nearest neighbour, which can still be trusted somewhat at 0.2.
FARTHER = 0.25


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


def attack(defended: Purified, x: torch.Tensor, y: torch.Tensor, eps: float = EPS) -> torch.Tensor:
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
            found[left] = climb(surface, wrong(defended), x[left], y[left], Climb(eps=eps))
    left = ~wrong(defended)(found, y)
    if left.any():
        found[left] = walk(defended, x[left], y[left], eps)
    return found


def attack_neighbour(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Choose the neighbour that an image is to get, and stay near it while the margin rises.

    First without a choice, see `attack`. Then each of the 100 nearest training images is tried at once: from
    the clean image moved as far as it may towards it, 100 steps up the margin of the mean of both, minus
    three times what other training images lie nearer.
    """
    defended, bank = nearest_neighbour().module, nearest_neighbour().module.bank
    is_wrong = wrong(defended)
    found = attack(defended, x, y, FARTHER)
    for i in (~is_wrong(found, y)).nonzero().squeeze(1).tolist():
        apart = torch.cdist(x[i : i + 1].flatten(1), bank.flatten(1))[0]
        chosen = apart.topk(100, largest=False).indices
        clean, label = x[i].expand(100, 1, 8, 8), y[i].expand(100)
        here = within(bank[chosen], clean, FARTHER)
        for step in range(100):
            slope = gradient(_pull(defended, bank, chosen), here, label)
            slope /= slope.flatten(1).abs().amax(1).clamp(min=1e-12).view(-1, 1, 1, 1)
            size = FARTHER * (0.02 + 0.2 * (1 - step / 100))
            here = within(here + size * slope, clean, FARTHER)
            fooled = is_wrong(here, label)
            if fooled.any():
                found[i] = here[fooled][0]
                break
    return found


def _pull(defended: Purified, bank: torch.Tensor, chosen: torch.Tensor) -> Rise:
    """Return a rise for images that are to get the neighbours `chosen`, one each."""

    def rise(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        away = torch.cdist(z.flatten(1), bank.flatten(1)).square()
        own = away.gather(1, chosen[:, None])
        nearer = (own - away + 0.01).clamp(min=0).scatter(1, chosen[:, None], 0.0).sum(1)
        gain = margin(lambda both: defended.net((both + bank[chosen]) / 2))(z, y)
        return gain.clamp(max=0.5) - 3 * nearer

    return rise


SCENES = (
    Scene(
        name="nearest-neighbour purifier",
        before=96.5,
        left=0.0,
        build=nearest_neighbour,
        eps=str(FARTHER),
        handmade=attack_neighbour,
    ),
    Scene(
        name="median purifier",
        before=90.0,
        left=0.0,
        build=median,
        handmade=lambda x, y: attack(median().module, x, y),
    ),
    Scene(
        name="total-variation purifier",
        before=90.0,
        left=0.5,
        build=total_variation,
        handmade=lambda x, y: attack(total_variation().module, x, y),
    ),
)

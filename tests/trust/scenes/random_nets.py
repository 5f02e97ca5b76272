"""Defences that draw anew in each call."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn import functional as F

import bench
from bench.adapters.generators import seeded
from bench.spec import Adapter
from bench.trust.behaviour import judged

from .ascent import Climb, Logits, Wrong, climb, mean_of
from .bases import CLASSES, SHAPE, base, still, trained
from .scene import Scene, images

EPS = 0.2
#: Draws behind each gradient of the hand-made attacks, and behind each look at whether it is done.
DRAWS, LOOKS = 20, 32


class ResizeAndPad(nn.Module):
    """Each call scales its images to a random size and puts them at a random place (Xie et al., 2018).

    They are kept as pictures with 8 bits, so no gradient comes through.
    """

    def __init__(self, sizes: tuple[int, ...] = (9, 10, 11), canvas: int = 12) -> None:
        super().__init__()
        self.sizes, self.canvas = sizes, canvas
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.net = nn.Sequential(
                nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1, stride=2),
                nn.ReLU(), nn.Flatten(), nn.Linear(32 * (canvas // 2) ** 2, CLASSES),
            )  # fmt: skip

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        size = self.sizes[int(torch.randint(len(self.sizes), ()))]
        left, top = (int(torch.randint(self.canvas - size + 1, ())) for _ in "xy")
        scaled = F.interpolate(x, (size, size), mode="bilinear")
        rest = self.canvas - size
        return F.pad(scaled, (left, rest - left, top, rest - top))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(torch.round(self.prepare(x) * 255) / 255)


class StochasticActivations(nn.Module):
    """Hidden activations are drawn in proportion to their size (Dhillon et al., 2018); a share survives."""

    def __init__(self, net: nn.Sequential, share: float = 0.5) -> None:
        super().__init__()
        self.net, self.share = net, share

    def pruned(self, a: torch.Tensor) -> torch.Tensor:
        flat = a.flatten(1)
        size = flat.detach().abs() + 1e-12
        odds = size / size.sum(1, keepdim=True)
        draws = max(1, int(self.share * flat.shape[1]))
        drawn = torch.multinomial(odds, draws, replacement=True)
        kept = torch.zeros_like(flat).scatter(1, drawn, 1.0)
        return (flat * kept / (1 - (1 - odds) ** draws).clamp(min=1e-6)).view_as(a)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.net:
            x = part(x)
            if isinstance(part, nn.ReLU):
                x = self.pruned(x)
        return x


class DropoutLeftOn(nn.Module):
    """A network whose author calls the function of dropout, which drops unless it is told not to."""

    def __init__(self, net: nn.Sequential, share: float = 0.5) -> None:
        super().__init__()
        self.share = share
        self.features, self.head = net[:-1], net[-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.dropout(self.features(x), self.share))


@functools.cache
def resize_and_pad() -> Adapter:
    net = ResizeAndPad()
    with seeded(0, torch.device("cpu")):
        return bench.wrap(trained(net, epochs=6), CLASSES, SHAPE)


@functools.cache
def stochastic() -> Adapter:
    return bench.wrap(still(StochasticActivations(base())), CLASSES, SHAPE)


@functools.cache
def dropout() -> Adapter:
    return bench.wrap(still(DropoutLeftOn(base())), CLASSES, SHAPE)


def voted(model: Adapter) -> Wrong:
    """Return whether a random model is wrong as it is judged: by the draws seeded from each image."""
    judge, _ = judged(model, images()[0])

    def asked(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return judge.predict(x).labels != y

    return asked


def over_draws(surface: Logits, model: Adapter, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack the mean probability over 20 draws (EOT), four starts of 40 steps.

    The judge's own draws, which are known from the image, are asked every tenth step.

    Source: Athalye et al. (2018), Synthesizing robust adversarial examples.
    """
    how = Climb(eps=EPS, steps=40, starts=4, look=10, ranks=2)
    with seeded(1, torch.device("cpu")):
        return climb(surface, voted(model), x, y, how)


def attack_resize(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Attack through scaling and padding, which have a gradient, without the 8 bits; see `over_draws`."""
    model = resize_and_pad().module

    def surface(z: torch.Tensor) -> torch.Tensor:
        many = torch.stack([model.net(model.prepare(z)).softmax(1) for _ in range(DRAWS)])
        return many.mean(0).clamp(min=1e-12).log()

    return over_draws(surface, resize_and_pad(), x, y)


SCENES = (
    Scene(
        name="random resize and pad",
        before=76.0,
        left=6.1,
        build=resize_and_pad,
        handmade=attack_resize,
    ),
    Scene(
        name="stochastic activations",
        before=0.5,
        left=7.9,
        hides=False,
        build=stochastic,
        handmade=lambda x, y: over_draws(mean_of(stochastic().module, DRAWS), stochastic(), x, y),
    ),
    Scene(
        name="dropout left on",
        before=0.5,
        left=6.5,
        hides=False,
        build=dropout,
        handmade=lambda x, y: over_draws(mean_of(dropout().module, DRAWS), dropout(), x, y),
    ),
)

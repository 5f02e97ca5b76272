"""Square: random squares of an image are changed, and kept where the label's margin shrinks."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.adaptive.losses import margin_of
from bench.attacks.native.ball import Ball, column
from bench.attacks.native.hunt import Hunt

#: After how many queries the share of pixels in a square is halved again; the paper's, for 10,000 queries.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """The parameters of the attack.

    Attributes:
        ball: around each image.
        queries: squares tried for each image; the start is one more.
        p_init: the share of the pixels in the first square.
    """

    ball: Ball
    queries: int
    p_init: float


def square(
    probe: Probe, x: torch.Tensor, y: torch.Tensor, parameters: Square, seed: int
) -> torch.Tensor:
    """Return images (N, C, H, W) that the model gets wrong, the clean ones where none is found.

    Andriushchenko et al., 'Square Attack: a query-efficient black-box adversarial attack via random search',
    ECCV 2020. The squares of a query are the same for all images, so that what one image gets does not depend
    on the others. In linf a square that changes nothing, or was rejected since the image last changed, has a known
    answer and costs no pass.

    Args:
        probe: images in [0, 1] to logits.
        x: images, float32 (N, C, H, W) in [0, 1].
        y: labels, int64 (N,).
        parameters: of the attack.
        seed: of all draws, made on the CPU.
    """
    hunt = Hunt(probe, x, y)
    search = (_Linf if parameters.ball.norm == "linf" else _L2)(hunt, parameters, seed)
    search.run()
    return hunt.x_adv


class _Window(NamedTuple):
    """A square of pixels."""

    top: int
    left: int
    side: int

    def of(self, images: torch.Tensor) -> torch.Tensor:
        """Return the pixels inside, (..., side, side), which share memory with the images."""
        return images[..., self.top : self.top + self.side, self.left : self.left + self.side]


class _Search(ABC):
    """The images of a search; every tensor has a row for each image that is left."""

    def __init__(self, hunt: Hunt, parameters: Square, seed: int) -> None:
        self.hunt, self.parameters = hunt, parameters
        self.generator = torch.Generator().manual_seed(seed)
        self.rows = torch.arange(len(hunt.x))
        self.state = {"x": hunt.x, "y": hunt.y, "image": hunt.x}

    @abstractmethod
    def start(self) -> torch.Tensor:
        """Return where the search begins, (N, C, H, W)."""

    @abstractmethod
    def attempt(self, turn: int) -> None:
        """Try a square on every image."""

    def run(self) -> None:
        self.state["image"] = self.start()
        lead, wrong = self.lead_of(self.state["image"], self.rows)
        self.state["lead"] = lead
        self.keep(self.rows, self.state["image"], wrong)
        for turn in range(self.parameters.queries):
            if not len(self.rows):
                return
            self.attempt(turn)

    def lead_of(
        self, images: torch.Tensor, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return by how much another class leads the label (n,), and whether images are wrong, bool (n,)."""
        labels = self.hunt.y[rows.to(images.device)]
        with torch.no_grad():
            logits = self.hunt.ask(images, rows)
        lead = margin_of(logits, labels)
        return lead, logits.argmax(1) != labels

    def keep(self, rows: torch.Tensor, images: torch.Tensor, wrong: torch.Tensor) -> None:
        """Keep images that are wrong, and drop their rows."""
        if self.hunt.keep(rows, images, wrong):
            kept = ~self.hunt.broken[self.rows.to(images.device)]
            self.rows = self.rows[kept.cpu()]
            self.state = {name: values[kept] for name, values in self.state.items()}

    def side(self, turn: int) -> int:
        """Return the side of the square of a turn, in pixels."""
        height, width = self.hunt.x.shape[-2:]
        share = self.parameters.p_init / 2 ** sum(turn > at for at in _HALVINGS)
        return min(max(1, round(math.sqrt(share * height * width))), height, width)

    def window(self, side: int) -> _Window:
        height, width = self.hunt.x.shape[-2:]
        return _Window(self.whole(height - side + 1), self.whole(width - side + 1), side)

    def whole(self, below: int) -> int:
        return int(torch.randint(0, below, (), generator=self.generator))

    def signs(self, *shape: int) -> torch.Tensor:
        drawn: torch.Tensor = torch.randint(0, 2, shape, generator=self.generator).float() * 2 - 1
        return drawn.to(self.hunt.x.device)


class _Linf(_Search):
    """Squares go to the lowest or the highest values that a channel may have."""

    def start(self) -> torch.Tensor:
        x, eps = self.hunt.x, self.parameters.ball.eps
        count, channels, _, width = x.shape
        self.state |= {
            "low": (x - eps).clamp(min=0), "high": (x + eps).clamp(max=1),
            "changed": torch.full((count,), -1, device=x.device),
        }  # fmt: skip
        #: The turn in which a square was last tried.
        self.tried: dict[tuple[_Window, tuple[float, ...]], int] = {}
        stripes = self.signs(count, channels, 1, width)
        return torch.where(stripes > 0, self.state["high"], self.state["low"])

    def attempt(self, turn: int) -> None:
        state = self.state
        window, signs = self.window(self.side(turn)), self.signs(self.hunt.x.shape[1], 1, 1)
        before = window.of(state["image"]).clone()
        after = torch.where(signs > 0, window.of(state["high"]), window.of(state["low"]))
        named = (window, tuple(signs.flatten().tolist()))
        unknown = (after != before).flatten(1).any(1)
        unknown &= state["changed"] > self.tried.get(named, -2)
        self.tried[named] = turn
        at = unknown.nonzero().flatten()
        if not len(at):
            return
        every = len(at) == len(unknown)
        if every:
            window.of(state["image"]).copy_(after)
            images, rows = state["image"], self.rows
        else:
            images, rows = state["image"][at], self.rows[at.cpu()]
            window.of(images).copy_(after[at])
        lead, wrong = self.lead_of(images, rows)
        better = (lead > state["lead"][at]) | wrong
        if every:
            window.of(state["image"]).copy_(torch.where(column(better), after, before))
        else:
            taken = at[better]
            window.of(state["image"])[taken] = after[taken]
        state["lead"][at] = torch.where(better, lead, state["lead"][at])
        state["changed"][at[better]] = turn
        self.keep(rows, images, wrong)


class _L2(_Search):
    """What is changed in one square is made up for by what is taken away in another."""

    def start(self) -> torch.Tensor:
        x = self.hunt.x
        count, channels, height, width = x.shape
        side = height // 5
        first = (height - 5 * side) // 2
        delta = torch.zeros_like(x)
        for row in range(height // side):
            for column_ in range(width // side):
                tile = _Window(first + row * side, first + column_ * side, side).of(delta)
                bump = self.bump(side)[: tile.shape[-2], : tile.shape[-1]]
                tile += bump * self.signs(count, channels, 1, 1)
        return self.scaled(x, delta)

    def attempt(self, turn: int) -> None:
        state = self.state
        side = max(3, self.side(turn))
        side = min(side + (side % 2 == 0), *self.hunt.x.shape[-2:])
        changed, emptied = self.window(side), self.window(side)
        signs = self.signs(len(self.hunt.x), self.hunt.x.shape[1], 1, 1)[
            self.rows.to(self.hunt.x.device)
        ]
        delta = state["image"] - state["x"]
        within = torch.zeros(delta.shape[-2:], device=delta.device)
        changed.of(within).fill_(1)
        emptied.of(within).fill_(1)
        spare = self.parameters.ball.eps**2 - delta.square().sum((1, 2, 3), keepdim=True)
        freed = (delta.square() * within).sum((2, 3), keepdim=True)
        length = (spare.clamp(min=0) / delta.shape[1] + freed).sqrt()
        fresh = self.bump(side) * signs + _unit(changed.of(delta))
        fresh = _unit(fresh) * length
        emptied.of(delta).zero_()
        changed.of(delta).copy_(fresh)
        images = self.scaled(state["x"], delta)
        lead, wrong = self.lead_of(images, self.rows)
        better = (lead > state["lead"]) | wrong
        state["image"] = torch.where(column(better), images, state["image"])
        state["lead"] = torch.where(better, lead, state["lead"])
        self.keep(self.rows, images, wrong)

    def scaled(self, x: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        """Return images at distance eps in the direction of `delta`, cut to [0, 1]."""
        ball = self.parameters.ball
        factor = ball.eps / ball.length(delta).clamp(min=1e-12)
        return (x + column(factor) * delta).clamp(0, 1)

    def bump(self, side: int) -> torch.Tensor:
        """Return the pattern of a square, lying or standing."""
        pattern = _pattern(side).to(self.hunt.x.device)
        return pattern.T if self.whole(2) else pattern


def _unit(squares: torch.Tensor) -> torch.Tensor:
    """Return each channel (n, C, side, side) at length 1."""
    return squares / (squares.square().sum((2, 3), keepdim=True).sqrt() + 1e-12)


@functools.cache
def _pattern(side: int) -> torch.Tensor:
    """Return the pattern of length 1, (side, side): a bump, and one turned down."""
    pattern = torch.zeros(side, side)
    pattern[: side // 2] = _bump(side // 2, side)
    pattern[side // 2 :] = -_bump(side - side // 2, side)
    length: torch.Tensor = pattern.norm()
    return pattern / length


def _bump(height: int, width: int) -> torch.Tensor:
    """Return rectangles on top of one another, each smaller and higher than the last, at length 1."""
    bump = torch.zeros(height, width)
    top, left = height // 2, width // 2
    for size in range(max(height // 2 + 1, width // 2 + 1)):
        low, high = max(top - size, 0), min(top + size + 1, height)
        bump[low:high, max(left - size, 0) : min(left + size + 1, width)] += 1 / (size + 1) ** 2
    length: torch.Tensor = bump.norm()
    return bump / length

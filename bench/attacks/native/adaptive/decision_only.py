"""A search that needs the model's decisions alone: along the boundary, towards the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from bench.attacks.native.adaptive.survivors import Survivors
from bench.attacks.native.ball import column

#: Images of other classes and coarse noises that are tried as a start, and how often the way is halved.
_OTHERS, _NOISES, _HALVINGS = 3, 8, 6

#: Directions tried at first at each point of the boundary, how far away, as a share of the distance to the
#: image, and how often a step along the boundary is halved until it stays beyond it.
_DIRECTIONS, _NEAR, _SHORTER = 24, 0.1, 4


def walk(survivors: Survivors, rows: torch.Tensor, queries: int) -> None:
    """Walk along the boundary from images of other classes until inside the ball.

    HopSkipJump, Chen, Jordan and Wainwright, 'HopSkipJumpAttack: a query-efficient decision-based attack',
    IEEE S&P 2020; all images together.

    Args:
        survivors: of the cascade.
        rows: the images, int64 (n,) on the CPU.
        queries: passes an image.
    """
    begun = _begin(survivors, rows)
    turn = 0
    while len(begun.rows) and queries > 0:
        turn += 1
        directions = min(int(_DIRECTIONS * math.sqrt(turn)), 2 * _DIRECTIONS)
        cost = directions + _SHORTER + _HALVINGS
        begun = begun.kept(survivors, cost)
        if not len(begun.rows):
            return
        begun = _jump(survivors, begun, directions, 1 / math.sqrt(turn))
        queries -= cost


@dataclass(frozen=True, slots=True)
class _Beyond:
    """Images (n, C, H, W) beyond the boundary of some rows (n,), as near as has been found."""

    rows: torch.Tensor
    image: torch.Tensor

    def kept(self, survivors: Survivors, cost: int) -> _Beyond:
        """Return those that are not settled and have `cost` passes left."""
        device = self.image.device
        kept = ~survivors.settled[self.rows.to(device)]
        kept &= survivors.budget.affords(self.rows, cost).to(device)
        return _Beyond(self.rows[kept.cpu()], self.image[kept])


def _between(
    survivors: Survivors, centre: torch.Tensor, image: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """Return images at a share (n,) of the distance: on the line in l2, cut to a smaller cube in linf."""
    way = image - centre
    if survivors.ball.norm == "l2":
        return (centre + column(share) * way).clamp(0, 1)
    radius = column(share * survivors.ball.length(way))
    return (centre + torch.minimum(torch.maximum(way, -radius), radius)).clamp(0, 1)


def _draw_near(survivors: Survivors, beyond: _Beyond) -> _Beyond:
    """Return points near the boundary, between the images and the clean ones; the last ones are beyond it."""
    centre = survivors.x[beyond.rows.to(beyond.image.device)]
    length = survivors.ball.length(beyond.image - centre)
    # Nothing nearer than the ball's surface is of use.
    low = (survivors.ball.eps * 0.999 / length.clamp(min=1e-12)).clamp(max=1)
    high = torch.ones_like(low)
    first = True
    for _ in range(_HALVINGS):
        share = low if first else (low + high) / 2
        tried = _between(survivors, centre, beyond.image, share)
        wrong = survivors.ask(beyond.rows, tried).wrong
        high = torch.where(wrong, share, high)
        low = torch.where(wrong, low, share)
        first = False
    return _Beyond(beyond.rows, _between(survivors, centre, beyond.image, high))


def _begin(survivors: Survivors, rows: torch.Tensor) -> _Beyond:
    """Return for each row the nearest point beyond the boundary that some start leads to."""
    device = survivors.x.device
    best = torch.full((len(survivors.x),), torch.inf, device=device)
    image = survivors.x.clone()
    for starts in _starts(survivors, rows):
        some = _Beyond(rows, starts).kept(survivors, _HALVINGS + 1)
        if not len(some.rows):
            continue
        wrong = survivors.ask(some.rows, some.image).wrong
        some = _Beyond(some.rows[wrong.cpu()], some.image[wrong])
        if not len(some.rows):
            continue
        near = _draw_near(survivors, some)
        at = near.rows.to(device)
        length = survivors.ball.length(near.image - survivors.x[at])
        nearer = length < best[at]
        best[at[nearer]], image[at[nearer]] = length[nearer], near.image[nearer]
    begun = rows[best[rows.to(device)].isfinite().cpu()]
    return _Beyond(begun, image[begun.to(device)])


def _starts(survivors: Survivors, rows: torch.Tensor) -> list[torch.Tensor]:
    """Return starts (n, C, H, W) for all rows: beyond the nearest images so far, images of others, noise."""
    x = survivors.x
    at = rows.to(x.device)
    way = survivors.nearest[at] - x[at]
    starts = [(x[at] + factor * way).clamp(0, 1) for factor in (2.0, 4.0)]
    others = survivors.others(rows, _OTHERS)
    starts += others
    generator = survivors.generator
    sides = [2**power for power in range(min(x.shape[2:]).bit_length())]
    if not others:
        for turn in range(_NOISES):
            side = sides[turn % len(sides)]
            cells = torch.rand((1, x.shape[1], side, side), generator=generator)
            noise = F.interpolate(cells, x.shape[2:]).to(x)
            starts.append(noise.expand(len(at), -1, -1, -1).contiguous())
    return starts


def _jump(survivors: Survivors, beyond: _Beyond, directions: int, scale: float) -> _Beyond:
    """Step along the boundary's estimated normal, and draw near the clean images again."""
    n, device = len(beyond.rows), beyond.image.device
    centre = survivors.x[beyond.rows.to(device)]
    length = survivors.ball.length(beyond.image - centre)
    drawn = torch.randn((directions, *beyond.image.shape), generator=survivors.generator).to(device)
    if survivors.ball.norm == "linf":
        drawn = drawn.sign()
    else:
        drawn = drawn / drawn.flatten(2).norm(dim=2)[..., None, None, None]
    near = (_NEAR * length).view(1, -1, 1, 1, 1)
    points = (beyond.image + near * drawn).clamp(0, 1)
    wrong = survivors.ask(beyond.rows.repeat(directions), points.flatten(0, 1)).wrong
    votes = wrong.view(directions, n).float() * 2 - 1
    votes = votes - votes.mean(0) * (votes.abs().mean(0) == 1)
    normal = (votes[:, :, None, None, None] * drawn).mean(0)
    step, moved = scale * length, beyond.image
    open_ = torch.ones(n, dtype=torch.bool, device=device)
    for _ in range(_SHORTER):
        tried = (beyond.image + column(step) * survivors.ball.direction(normal)).clamp(0, 1)
        beyond_it = survivors.ask(beyond.rows, tried).wrong & open_
        moved = torch.where(column(beyond_it), tried, moved)
        open_ &= ~beyond_it
        step = step / 2
    near_by = _draw_near(survivors, _Beyond(beyond.rows, moved))
    nearer = survivors.ball.length(near_by.image - centre) < length
    return _Beyond(beyond.rows, torch.where(column(nearer), near_by.image, beyond.image))

"""Searches that need the model's scores alone: random squares, and gradients from finite differences."""

from __future__ import annotations

import math

import torch

from bench.adapters.passes import images_at_once
from bench.attacks.native.adaptive.losses import as_logits, margin_of
from bench.attacks.native.adaptive.survivors import Survivors
from bench.attacks.native.ball import Ball, column

#: The share of the pixels in the first square, and after which shares of the queries that is halved: those
#: of the paper, for 10,000 queries.
_SHARE = 0.8
_HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)

#: How far from an image the scores are compared, as a share of eps: of the first steps, and of the last.
_NEAR, _NEARER = 0.5, 0.1


def leads(survivors: Survivors, rows: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return by how much another class leads in the scores, (n,); -inf where they are not finite.

    One pass for each image (n, C, H, W); a random model is asked for `draws` of them.
    """
    model = survivors.model
    together = images_at_once(images.shape[1:])
    parts = []
    with torch.no_grad():
        for at, some in zip(
            torch.split(rows, together), torch.split(images, together), strict=True
        ):
            with model.asked.playing(at):
                scores = as_logits(model.asked(some))
            lead = margin_of(scores, survivors.y[at.to(some.device)])
            parts.append(lead.masked_fill(~scores.isfinite().all(1), -torch.inf))
    return torch.cat(parts)


class _Best:
    """The best image so far of each row of a search; settled rows and those without passes drop out."""

    def __init__(self, survivors: Survivors, rows: torch.Tensor, start: torch.Tensor) -> None:
        self.survivors, self.rows, self.image = survivors, rows, start
        self.lead = torch.full((len(rows),), -torch.inf, device=start.device)
        self.shown = self.lead.clone()

    @property
    def centre(self) -> torch.Tensor:
        return self.survivors.x[self.rows.to(self.image.device)]

    def offer(self, images: torch.Tensor, lead: torch.Tensor) -> None:
        """Keep images (n, C, H, W) where they lead by more, and show those that lead for the first time."""
        better = lead > self.lead
        self.image = torch.where(column(better), images, self.image)
        self.lead = torch.where(better, lead, self.lead)
        self.show((self.lead > 0) & (self.lead > self.shown.clamp(min=0) * 1.5))

    def show(self, wanted: torch.Tensor) -> None:
        at = wanted.nonzero().flatten().cpu()
        at = at[self.survivors.budget.affords(self.rows[at], 1)]
        if len(at):
            device = self.image.device
            self.survivors.ask(self.rows[at], self.image[at.to(device)])
            self.shown[at.to(device)] = self.lead[at.to(device)]

    def keep(self, cost: int) -> torch.Tensor:
        """Drop rows that are settled or have fewer than `cost` passes left; return which are kept, bool."""
        device = self.image.device
        kept = ~self.survivors.settled[self.rows.to(device)]
        kept &= self.survivors.budget.affords(self.rows, cost).to(device)
        if not kept.all():
            self.rows = self.rows[kept.cpu()]
            self.image, self.lead, self.shown = (
                part[kept] for part in (self.image, self.lead, self.shown)
            )
        return kept


def squares(survivors: Survivors, rows: torch.Tensor, start: torch.Tensor, queries: int) -> None:
    """Change random squares of images, and keep what makes another class lead by more.

    Andriushchenko et al., 'Square Attack: a query-efficient black-box adversarial attack via random search',
    ECCV 2020: in linf the values of a square go to +eps or -eps of the image, a sign a channel; in l2 we add a
    square of random signs and go back to the sphere, where the paper moves weight between squares.

    Args:
        survivors: of the cascade.
        rows: the images, int64 (n,) on the CPU.
        start: where the search begins, (n, C, H, W).
        queries: passes an image.
    """
    best = _Best(survivors, rows, start)
    best.keep(3)
    if not len(best.rows):
        return
    best.offer(best.image, leads(survivors, best.rows, best.image))
    stripes = survivors.ball.project(
        best.centre, best.centre + survivors.ball.eps * _stripes(best.image, survivors.generator)
    )
    for turn in range(queries - 2):
        kept = best.keep(2)
        if not len(best.rows):
            return
        if turn == 0:
            tried = stripes[kept]
        else:
            side = side_of(turn / queries, best.image.shape)
            tried = _changed(survivors.ball, best, side)
        best.offer(tried, leads(survivors, best.rows, tried))
    best.show(best.lead > best.shown)


def side_of(done: float, shape: torch.Size) -> int:
    """Return the side of a square, in pixels, after a share of the queries."""
    share = _SHARE / 2 ** sum(done > at for at in _HALVINGS)
    height, width = shape[-2:]
    return min(max(1, round(math.sqrt(share * height * width))), height, width)


def _stripes(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a random sign for each column and channel, in the shape of images."""
    n, channels, _, width = like.shape
    return _signs((n, channels, 1, width), generator).to(like).expand_as(like)


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=generator).float() * 2 - 1


def _changed(ball: Ball, best: _Best, side: int) -> torch.Tensor:
    image, generator = best.image, best.survivors.generator
    n, channels, height, width = image.shape
    top = torch.randint(0, height - side + 1, (n, 1), generator=generator).to(image.device)
    left = torch.randint(0, width - side + 1, (n, 1), generator=generator).to(image.device)
    down, across = (torch.arange(size, device=image.device) for size in (height, width))
    inside = ((down >= top) & (down < top + side))[:, None, :, None] & (
        (across >= left) & (across < left + side)
    )[:, None, None, :]
    signs = _signs((n, channels, 1, 1), generator).to(image)
    centre = best.centre
    if ball.norm == "linf":
        return torch.where(inside, (centre + ball.eps * signs).clamp(0, 1), image)
    if side == 1:
        signs = signs * 2
    bump = inside * signs
    bump = bump / column(bump.flatten(1).norm(dim=1))
    moved = image + ball.eps * torch.rand(n, 1, 1, 1, generator=generator).to(image) * bump
    way = moved - centre
    outward = centre + way * column(ball.eps / ball.length(way).clamp(min=1e-12))
    return ball.project(centre, outward)


def differences(
    survivors: Survivors, rows: torch.Tensor, start: torch.Tensor, queries: int, pairs: int
) -> None:
    """Climb a gradient estimated from pairs of opposite points around the image.

    Natural evolution strategies, Ilyas et al., 'Black-box adversarial attacks with limited queries and
    information', ICML 2018; with random signs for directions, as in SPSA (Uesato et al., 'Adversarial risk and
    the dangers of evaluating against weak attacks', ICML 2018). The points lie far apart at first, so that a
    staircase of small steps has a slope.

    Args:
        survivors: of the cascade.
        rows: the images, int64 (n,) on the CPU.
        start: where the ascent begins, (n, C, H, W).
        queries: passes an image.
        pairs: pairs of points for each estimate.
    """
    ball = survivors.ball
    best = _Best(survivors, rows, start)
    image, slope = start.clone(), torch.zeros_like(start)
    steps = max(1, queries // (2 * pairs + 1))
    for turn in range(steps):
        kept = best.keep(2 * pairs + 2)
        image, slope = image[kept], slope[kept]
        if not len(best.rows):
            return
        done = turn / steps
        near = ball.eps * _NEAR * (_NEARER / _NEAR) ** done
        if ball.norm == "l2":
            near = near / math.sqrt(image[0].numel())
        slope = 0.7 * slope + _scaled(_estimate(best, image, near, pairs))
        step = ball.eps * (1.0 if turn == 0 else 0.5 * 0.05**done)
        image = ball.project(best.centre, image + step * ball.direction(slope))
        best.offer(image, leads(survivors, best.rows, image))
    best.show(best.lead > best.shown)


def _scaled(slope: torch.Tensor) -> torch.Tensor:
    """Return slopes of mean size 1, so that each estimate counts the same in the momentum."""
    return slope / column(slope.flatten(1).abs().mean(1).clamp(min=1e-20))


def _estimate(best: _Best, image: torch.Tensor, near: float, pairs: int) -> torch.Tensor:
    """Return the estimated slope of the lead at images (n, C, H, W)."""
    n = len(image)
    signs = _signs((pairs, *image.shape), best.survivors.generator).to(image)
    points = torch.stack([image + near * signs, image - near * signs], dim=1).clamp(0, 1)
    rows = best.rows.repeat(2 * pairs)
    lead = leads(best.survivors, rows, points.flatten(0, 2)).view(pairs, 2, n)
    apart = torch.nan_to_num(lead[:, 0] - lead[:, 1], nan=0.0, posinf=0.0, neginf=0.0)
    return (apart[:, :, None, None, None] * signs).mean(0)

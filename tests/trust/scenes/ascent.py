"""The tools of the hand-made attacks: steps along a gradient of one's own choice, with many restarts.

An attack here names what it climbs (a margin on a network without the defence, on a straight-through
copy, a mean over draws) and what the defended model answers; the rest is the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

#: Images and labels to a value an image (N,), larger where the attack is nearer its goal.
Rise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: Images and labels to whether the defended model is wrong about each, bool (N,).
Wrong = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: Images (N, C, H, W) to logits (N, classes).
Logits = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Climb:
    """How an attack climbs.

    Attributes:
        eps: the largest change of a pixel (linf).
        steps: of each start.
        starts: how many starts; the first is the clean image, the others are random.
        look: after how many steps the model is asked.
        ranks: how many other classes are aimed at in turn, one a start; 0 aims at whichever is nearest.
        seed: of the random starts.
    """

    eps: float
    steps: int = 60
    starts: int = 10
    look: int = 5
    ranks: int = 4
    seed: int = 0


def margin(logits: Logits, rank: int = 0) -> Rise:
    """Return how far the largest wrong logit exceeds the true one; or, with a rank, that one of the wrong.

    Args:
        logits: of the network that is climbed.
        rank: 0 for the largest wrong logit in each step; k for the k-th largest of the clean image, which
            stays the same.
    """
    aims: dict[int, torch.Tensor] = {}

    def rise(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        scores = logits(x)
        others = scores.scatter(1, y[:, None], -torch.inf)
        if rank == 0:
            best = others.amax(1)
        else:
            if len(y) not in aims:
                aims[len(y)] = others.detach().topk(rank, 1).indices[:, -1]
            best = others.gather(1, aims[len(y)][:, None]).squeeze(1)
        return best - scores.gather(1, y[:, None]).squeeze(1)

    return rise


def wrong(logits: Logits) -> Wrong:
    """Return whether the largest logit is that of another class; a score that is not finite is no class."""

    def asked(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            scores = logits(x)
        return (scores.argmax(1) != y) & scores.isfinite().all(1)

    return asked


def within(x: torch.Tensor, clean: torch.Tensor, eps: float) -> torch.Tensor:
    """Return images moved back into the ball around the clean ones and into [0, 1]."""
    return torch.minimum(torch.maximum(x, clean - eps), clean + eps).clamp(0, 1)


def climb(
    surface: Logits,
    is_wrong: Wrong,
    x: torch.Tensor,
    y: torch.Tensor,
    how: Climb,
    first: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the images found, the clean one where none was.

    Args:
        surface: the logits that are climbed.
        is_wrong: what the defended model says of images tried.
        x: clean images.
        y: their labels.
        how: steps and starts.
        first: where the first start begins; None for the clean images.
    """
    found = x.clone()
    left = ~is_wrong(x, y)
    for start in range(how.starts):
        at = left.nonzero().squeeze(1)
        if not len(at):
            break
        rank = 0 if start == 0 or not how.ranks else start % (how.ranks + 1)
        rise = margin(surface, rank)
        here = _random_start(x[at], how, start) if start else (x if first is None else first)[at]
        tried, fooled = _one_start(rise, is_wrong, (here, x[at], y[at]), how)
        found[at[fooled]] = tried[fooled]
        left[at[fooled]] = False
    return found


def _random_start(x: torch.Tensor, how: Climb, start: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(how.seed * 1000 + start)
    noise = torch.empty_like(x).uniform_(-how.eps, how.eps, generator=draw)
    return within(x + noise, x, how.eps)


def _one_start(
    rise: Rise,
    is_wrong: Wrong,
    begin: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    how: Climb,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images tried and which of them fool the model; a fooling one is kept as it was found.

    Args:
        rise: what is climbed.
        is_wrong: what the defended model says.
        begin: where it begins, the clean images, and their labels.
        how: steps and their size.
    """
    here, x, y = begin
    kept, fooled = here.clone(), torch.zeros(len(x), dtype=torch.bool)
    speed = torch.zeros_like(x)
    for step in range(how.steps):
        slope = gradient(rise, here, y)
        speed = 0.75 * speed + slope / slope.flatten(1).abs().mean(1).clamp(min=1e-30).view(
            -1, 1, 1, 1
        )
        # From half the radius down to a fiftieth.
        size = how.eps * (0.02 + 0.48 * (1 + math.cos(math.pi * step / how.steps)) / 2)
        here = within(here + size * speed.sign(), x, how.eps)
        if (step + 1) % how.look == 0 or step + 1 == how.steps:
            new = is_wrong(here, y) & ~fooled
            kept[new] = here[new]
            fooled |= new
            if fooled.all():
                break
    return kept, fooled


def gradient(rise: Rise, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the sum of a rise with respect to the images, with 0 where it is not finite."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(rise(x, y).sum(), x)
    return slope.nan_to_num(0.0, 0.0, 0.0)


def straight_through(before: Callable[[torch.Tensor], torch.Tensor], net: nn.Module) -> Logits:
    """Return the defended model with the identity as the gradient of what comes before its network (BPDA).

    Args:
        before: what the defence makes of an image.
        net: the network behind it.

    Source: Athalye, Carlini and Wagner (2018), Obfuscated gradients give a false sense of security.
    """

    def logits(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            change = before(x) - x
        return net(x + change)

    return logits


def mean_of(surface: Logits, draws: int) -> Logits:
    """Return the mean log-probability over draws of a random model (expectation over transformation)."""

    def logits(x: torch.Tensor) -> torch.Tensor:
        many = surface(x.repeat(draws, 1, 1, 1)).softmax(1)
        return many.view(draws, len(x), -1).mean(0).clamp(min=1e-12).log()

    return logits


def walk(
    scores: Logits, x: torch.Tensor, y: torch.Tensor, eps: float, turns: int = 500, seed: int = 0
) -> torch.Tensor:
    """Return images found by changing some pixels at random to a corner, keeping what lowers the margin.

    It asks for scores alone, and is for the last images that the gradient leaves.
    """
    draw = torch.Generator().manual_seed(seed)
    rise = margin(scores)
    with torch.no_grad():
        best = x.clone()
        height = rise(best, y)
        for turn in range(turns):
            share = max(0.02, 0.3 * (1 - turn / turns))
            chosen = torch.rand(x.shape, generator=draw) < share
            corner = torch.randint(0, 2, x.shape, generator=draw).float() * 2 - 1
            tried = within(torch.where(chosen, x + eps * corner, best), x, eps)
            value = rise(tried, y)
            better = value > height
            best[better], height[better] = tried[better], value[better]
    return best

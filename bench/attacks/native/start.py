"""Starts for attacks that approach the boundary from the far side: images that fool the model."""

from __future__ import annotations

from typing import NamedTuple

import torch

from bench.attacks.instrument import Probe

_DRAWS = 20
_CLIMB = 20
_STEP = 0.05


class Start(NamedTuple):
    """Where an attack starts.

    Attributes:
        x: float32 (N, C, H, W) in [0, 1]; the last trial if no start was found.
        found: bool (N,), which of them fool the model.
    """

    x: torch.Tensor
    found: torch.Tensor


def far_start(
    model: Probe,
    x: torch.Tensor,
    y: torch.Tensor,
    target: torch.Tensor | None,
    seed: int,
    rows: torch.Tensor | None = None,
) -> Start:
    """Return the first of a few noise images that fools the model; else the end of gradient steps from x.

    Foolbox and ART also start from uniform noise. A network assigns nearly all noise to one class, so
    images of that class, and nearly all targeted attacks, take signed gradient steps that increase the
    margin instead, as far as the box allows. All images try the same noise, so none depends on another.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1].
        y: int64 (N,), the labels to leave.
        target: int64 (N,), the target classes; None for any but y.
        seed: of the noise, drawn on the CPU so that devices agree.
        rows: int64 (N,), which of the attacked images these are; None for all.
    """
    rows = torch.arange(len(x), device=x.device) if rows is None else rows.to(x.device)
    generator = torch.Generator().manual_seed(seed)
    start = x.clone()
    found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for _ in range(_DRAWS):
        noise = torch.rand(x[0].shape, generator=generator).to(x.device)
        at = (~found).nonzero().flatten()
        if not len(at):
            break
        with torch.no_grad(), model.playing(rows[at]):
            fooled = _margin(model(noise.expand(len(at), *x[0].shape)), y, target, at) > 0
        start[at[fooled]] = noise
        found[at[fooled]] = True
    for _ in range(_CLIMB):
        at = (~found).nonzero().flatten()
        if not len(at):
            break
        with model.playing(rows[at]):
            point = start[at].requires_grad_()
            margin = _margin(model(point), y, target, at)
            (slope,) = torch.autograd.grad(margin.sum(), point)
            start[at] = (point.detach() + _STEP * slope.sign()).clamp(0, 1)
            with torch.no_grad():
                found[at] = _margin(model(start[at]), y, target, at) > 0
    return Start(start, found)


def _margin(
    logits: torch.Tensor, y: torch.Tensor, target: torch.Tensor | None, at: torch.Tensor
) -> torch.Tensor:
    """Return the margin (n,) of the target class, or of the best class but y, over the other classes."""
    named = (y if target is None else target)[at][:, None]
    own = logits.gather(1, named).squeeze(1)
    best_other = logits.scatter(1, named, -torch.inf).amax(1)
    return best_other - own if target is None else own - best_other

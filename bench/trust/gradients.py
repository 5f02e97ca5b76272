"""Comparison of gradients of a loss with central differences along random directions."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import nn

from bench.adapters.generators import seeded
from bench.adapters.losses import per_image_loss
from bench.adapters.modes import eval_mode
from bench.adapters.network import surface_gradient
from bench.spec import Adapter, Loss

#: The losses that attacks increase.
LOSSES: tuple[Loss, ...] = ("margin", "ce")

_DIRECTIONS = 8

#: Lengths of a step in l2, by the precision of the surface. The loss has to be smooth along the step and to
#: change by more than rounding; for each image the step with the best agreement counts.
_STEPS = {torch.float64: (1e-5, 1e-4, 1e-3, 1e-2), torch.float32: (1e-2, 1e-3, 1e-4, 1e-5)}

#: How much an image is dimmed and how much noise is added first. On a uniform background max pools have ties,
#: where the network has no derivative and its gradient is one of many. Dimming keeps all steps in [0, 1],
#: outside of which a network need not work. Whether a gradient is zero or not finite is tested on the
#: unchanged images, where attacks start.
_NOISE = 0.05

#: A cross-entropy below which float32 rounds its gradient by more than a thousandth.
_SURE = 1e-4

#: The largest relative error of a correct gradient, and by how many rounding errors of the scores a loss has
#: to change to be compared.
AGREES, _ROUNDINGS = 0.1, 200


class Agreement(NamedTuple):
    """How the gradient of one loss agrees with finite differences at some images.

    Attributes:
        dead: images where the gradient is exactly 0 at the start of an attack.
        broken: images where it is not finite there.
        measured: images near which the loss changes by more than rounding, so that it can be compared.
        wrong: measured images where it differs by more than a tenth for every step.
        error: the median relative difference over measured images; NaN if there are none.
    """

    dead: int
    broken: int
    measured: int
    wrong: int
    error: float


def agreement(
    adapter: Adapter, name: str, x: torch.Tensor, y: torch.Tensor, drawn: bool = False
) -> Mapping[Loss, Agreement]:
    """Return how the gradients of a model's surface agree with central differences, by loss.

    Both are computed in float64 if the surface can be.

    Args:
        adapter: the model.
        name: of the surface.
        x: images, float32 (N, C, H, W) in [0, 1].
        y: labels (N,).
        drawn: whether the surface is random; then it gets the same draws each time.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(x.shape, generator=generator).to(x.device)
    module = adapter.surfaces()[name]
    fine = _fine(module, x, drawn)
    dtype = torch.float32 if fine is module else torch.float64
    points = ((1 - 2 * _NOISE) * x + _NOISE * (noise + 0.5)).to(dtype)
    at_images = {loss: adapter.gradient(x.clone(), y, loss, name) for loss in LOSSES}
    slopes = {
        # In float64 other numbers are drawn, so both sides have to be in float64.
        loss: _seeded_gradient(fine, points, y, loss)
        if drawn
        else adapter.gradient(points.float(), y, loss, name)
        for loss in LOSSES
    }
    errors = _errors(fine, points, y, slopes, drawn)
    return {loss: _summed(at_images[loss], errors[loss]) for loss in LOSSES}


def _seeded_gradient(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Loss
) -> torch.Tensor:
    with seeded(0, x.device):
        return surface_gradient("", {"": module}, x, y, loss, "")


def _fine(module: nn.Module, x: torch.Tensor, drawn: bool) -> nn.Module:
    """Return a copy that computes in float64, or the module itself if that is not possible."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's, of a copied scripted module
            fine = copy.deepcopy(module).double()
        with eval_mode(module), eval_mode(fine), torch.no_grad():
            exact, usual = fine(x[:2].double()), module(x[:2].clone())
        same = drawn or torch.allclose(exact.float(), usual.float(), rtol=1e-2, atol=1e-2)
    except Exception:  # a user's module may fail in float64
        return module
    return fine if same and exact.dtype == torch.float64 else module


def _errors(
    module: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    slopes: Mapping[Loss, torch.Tensor],
    drawn: bool,
) -> Mapping[Loss, torch.Tensor]:
    """Return the relative error against central differences, (N,); infinity where rounding hides it."""
    generator = torch.Generator().manual_seed(1)
    shape = (_DIRECTIONS, *x.shape)
    ways = torch.randn(shape, generator=generator).to(x.device, x.dtype)
    ways /= ways.flatten(2).norm(dim=2).view(_DIRECTIONS, len(x), 1, 1, 1)
    best = {loss: x.new_full((len(x),), torch.inf, dtype=torch.float64) for loss in slopes}
    unsure = per_image_loss(_scores(module, x, drawn).double(), y, "ce") > _SURE
    for step in _STEPS[x.dtype]:
        disagrees = False
        up = [_scores(module, x + step * way, drawn) for way in ways]
        down = [_scores(module, x - step * way, drawn) for way in ways]
        # The rounding error of all layers is about that of the largest output.
        floor = _ROUNDINGS * _precision(module, up[0]) * up[0].abs().amax(1).double()
        for loss, slope in slopes.items():
            rise = torch.stack([
                per_image_loss(a.double(), y, loss) - per_image_loss(b.double(), y, loss)
                for a, b in zip(up, down, strict=True)
            ])  # fmt: skip
            predicted = 2 * step * (slope.double() * ways.double()).flatten(2).sum(2)
            size = torch.maximum(rise.norm(dim=0), predicted.norm(dim=0))
            clear = (size > floor) & unsure if loss == "ce" else size > floor
            error = torch.where(clear, (rise - predicted).norm(dim=0) / size, torch.inf)
            best[loss] = torch.fmin(best[loss], error)
            disagrees |= bool((clear & (best[loss] > AGREES)).any())
        if not disagrees:
            break
    return best


def _scores(module: nn.Module, x: torch.Tensor, drawn: bool) -> torch.Tensor:
    with eval_mode(module), torch.no_grad(), ExitStack() as stack:
        if drawn:
            stack.enter_context(seeded(0, x.device))
        scores: torch.Tensor = module(x)
    return scores


def _precision(module: nn.Module, scores: torch.Tensor) -> float:
    kinds = {scores.dtype, *(value.dtype for value in module.parameters())}
    return max(torch.finfo(kind).eps for kind in kinds if kind.is_floating_point)


def _summed(gradient: torch.Tensor, error: torch.Tensor) -> Agreement:
    flat = gradient.flatten(1)
    measured = error[error.isfinite()]
    return Agreement(
        dead=int((flat == 0).all(1).sum()),
        broken=int((~flat.isfinite()).any(1).sum()),
        measured=len(measured),
        wrong=int((measured > AGREES).sum()),
        error=float(measured.median()) if len(measured) else float("nan"),
    )

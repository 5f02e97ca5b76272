"""SparseFool for whole batches; its coordinates are found by sorting, not one at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.deepfool import (
    NUDGE,
    Boundaries,
    likeliest_others,
    nearest_boundary,
)
from bench.attacks.native.result import NativeResult

#: Steps of DeepFool and distance beyond the plane, as in the authors' code.
_DEEPFOOL_STEPS = 50
_BETA = 1e-3
_LEAST = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseFool:
    """The parameters of SparseFool.

    Attributes:
        lam: lambda; a larger one crosses the boundary sooner and changes more pixels.
        steps: the largest number of planes.
        overshoot: how far to go beyond each boundary and with the image found, as a share of the way.
        candidates: how many classes DeepFool tries, including the label.
        box: the largest change of a value, the paper's delta on the scale of [0, 1].
    """

    lam: float
    steps: int
    overshoot: float
    candidates: int
    box: float


def sparsefool(
    model: Probe, x: torch.Tensor, y: torch.Tensor, parameters: SparseFool
) -> NativeResult:
    """Change few coordinates, each as far as the box allows, until the class changes.

    Modas et al., 'SparseFool', CVPR 2019, algorithm 2. With f the logits, from x_0 = x on:

        x_B     = l2-DeepFool(x_i), of class k
        w       = grad(f_k - f_y)(x_B)
        x_{i+1} = LinearSolver(x_i, w, x_i + lambda (x_B - x_i))                 algorithm 1
        tried   = clip(x_0 + (1 + overshoot) (x_{i+1} - x_0), x_0 - box, x_0 + box)

    all within [0, 1] too. As in the authors' code, the loop continues from x_i, and the class is tested
    on `tried`; k is the likeliest class but y at x_B. No image depends on the others in the batch,
    except by rounding.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1].
        y: int64 (N,), the classes to leave.
        parameters: of the attack.

    Returns:
        The images (the clean one if the class never changed) and the planes each took.
    """
    lam, overshoot = parameters.lam, parameters.overshoot
    low, high = (x - parameters.box).clamp(min=0), (x + parameters.box).clamp(max=1)
    reached, x_adv = x.clone(), x.clone()
    at = torch.arange(len(x), device=x.device)
    iterations = torch.zeros_like(at)
    for _ in range(parameters.steps):
        here, clean, bounds = reached[at], x[at], (low[at], high[at])
        boundary, w = _boundary(model, here, y[at], at, parameters)
        moved = sparse_step(here, w, here + lam * (boundary - here), *bounds)
        tried = (clean + (1 + overshoot) * (moved - clean)).clamp(*bounds)
        with torch.no_grad(), model.playing(at):
            crossed = model(tried).argmax(1) != y[at]
        iterations[at] += 1
        reached[at] = moved
        x_adv[at[crossed]] = tried[crossed]
        at = at[~crossed]
        if not len(at):
            break
    return NativeResult(x_adv, iterations.cpu())


def _boundary(
    model: Probe,
    x: torch.Tensor,
    y: torch.Tensor,
    rows: torch.Tensor,
    parameters: SparseFool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where l2-DeepFool crosses a boundary, and the unit normals there.

    The steps are those of `deepfool`, with one forward pass and one gradient at each point. Where the
    class has changed, the gradient of the likeliest other class is the normal; elsewhere it is that of
    the nearest candidate, unless another one is as likely and steeper.
    """
    point, total, normal = x.clone(), torch.zeros_like(x), torch.zeros_like(x)
    at, others = torch.arange(len(x), device=x.device), torch.empty(0)
    for step in range(_DEEPFOOL_STEPS + 1):
        here, label = point[at].requires_grad_(), y[at]
        with model.playing(rows[at]):
            logits = model(here)
            seen = logits.detach()
            if step == 0:
                others = likeliest_others(seen, y, parameters.candidates - 1)
            done = seen.argmax(1) != label
            if step == _DEEPFOOL_STEPS:
                done = torch.ones_like(done)
            gaps = (seen.gather(1, others[at]) - seen.gather(1, label[:, None])).abs()
            nearest = others[at].gather(1, gaps.argmin(1, keepdim=True))
            chosen = torch.where(done[:, None], likeliest_others(seen, label, 1), nearest)
            gap = logits.gather(1, chosen) - logits.gather(1, label[:, None])
            (w,) = torch.autograd.grad(gap.sum(), here)
        normal[at[done]] = w[done]
        at, w, gaps = at[~done], w[~done], gaps[~done]
        if not len(at):
            break
        length, direction = nearest_boundary(
            model, point[at], y[at], Boundaries(others[at], gaps, w), rows[at]
        )
        total[at] += (length + NUDGE).view(-1, 1, 1, 1) * direction
        point[at] = (x[at] + (1 + parameters.overshoot) * total[at]).clamp(0, 1)
    size = normal.flatten(1).norm(dim=1).clamp(min=_LEAST)
    return point, normal / size.view(-1, 1, 1, 1)


def sparse_step(
    x: torch.Tensor, w: torch.Tensor, point: torch.Tensor, low: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    """Return x moved just beyond the plane through `point`, in as few coordinates as possible.

    Algorithm 1: coordinates move towards sign(w_j) in the order of decreasing |w_j|, each as far as
    needed or to its bound. A cumulative sum gives how far the coordinates before j reach. If all of them
    together do not reach the plane, all end at their bounds. An x already beyond the plane moves the
    same distance farther, where the authors' loop would move every coordinate.

    Args:
        x: float32 (N, ...), between its bounds.
        w: unit normals of the planes, shaped as x.
        point: a point on each plane, shaped as x.
        low: lower bounds, shaped as x.
        high: upper bounds, shaped as x.
    """
    flat, normal = x.flatten(1), w.flatten(1)
    gap = (normal * (point.flatten(1) - flat)).sum(1, keepdim=True).abs().clamp(min=_LEAST)
    slope, order = normal.abs().sort(dim=1, descending=True)
    sign = normal.sign()
    free = torch.where(sign > 0, high.flatten(1) - flat, flat - low.flatten(1)) * (sign != 0)
    sign, room, start = (values.gather(1, order) for values in (sign, free, flat))
    reach = slope * room
    before = reach.cumsum(1) - reach
    move = ((gap + _BETA - before) / slope.clamp(min=_LEAST)).minimum(room) * (before < gap)
    return flat.scatter(1, order, start + sign * move).view_as(x).clamp(low, high)

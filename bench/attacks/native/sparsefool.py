"""SparseFool for whole batches: few pixels, found by sorting instead of one coordinate at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.deepfool import Boundaries, likeliest_others, nearest_boundary
from bench.attacks.native.result import NativeResult

#: The authors' code lets DeepFool take 50 steps and goes this far beyond the plane.
_DEEPFOOL_STEPS = 50
_BETA = 1e-3
_LEAST = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseFool:
    """The parameters of SparseFool.

    Attributes:
        lam: lambda; more of it crosses sooner and changes more pixels.
        steps: at most so many planes.
        overshoot: by what share each boundary, and the image found, are overstepped.
        candidates: how many classes DeepFool tries, the label among them.
        box: how far a value may be moved, the paper's delta on the scale of [0, 1].
    """

    lam: float
    steps: int
    overshoot: float
    candidates: int
    box: float


def sparsefool(
    model: Probe, x: torch.Tensor, y: torch.Tensor, parameters: SparseFool
) -> NativeResult:
    """Move few coordinates, each as far as the box allows, until the class changes.

    Modas et al., 'SparseFool', CVPR 2019, algorithm 2. With f the logits, from x_0 = x on:

        x_B     = l2-DeepFool(x_i), of class k
        w       = grad(f_k - f_y)(x_B)
        x_{i+1} = LinearSolver(x_i, w, x_i + lambda (x_B - x_i))                 algorithm 1
        tried   = clip(x_0 + (1 + overshoot) (x_{i+1} - x_0), x_0 - box, x_0 + box)

    all within [0, 1] too. Like the authors' code it goes on from x_i and looks at what is tried; k
    is the likeliest class but y at x_B. What an image does never depends on the others, but for
    rounding.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1].
        y: int64 (N,), the classes to get away from.
        parameters: of the attack.

    Returns:
        The images, the clean one where the class never changed, and the planes each took.
    """
    lam, overshoot = parameters.lam, parameters.overshoot
    low, high = (x - parameters.box).clamp(min=0), (x + parameters.box).clamp(max=1)
    reached, found = x.clone(), x.clone()
    iterations = torch.zeros(len(x), dtype=torch.int64)
    at = torch.arange(len(x), device=x.device)
    for _ in range(parameters.steps):
        here, clean, bounds, rows = reached[at], x[at], (low[at], high[at]), at.cpu()
        boundary, w = _boundary(model, here, y[at], rows, parameters)
        moved = sparse_step(here, w, here + lam * (boundary - here), *bounds)
        tried = (clean + (1 + overshoot) * (moved - clean)).clamp(*bounds)
        with torch.no_grad(), model.playing(rows.tolist()):
            crossed = model(tried).argmax(1) != y[at]
        iterations[rows] += 1
        reached[at] = moved
        found[at[crossed]] = tried[crossed]
        at = at[~crossed]
        if not len(at):
            break
    return NativeResult(found, iterations)


def _boundary(
    model: Probe,
    x: torch.Tensor,
    y: torch.Tensor,
    rows: torch.Tensor,
    parameters: SparseFool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where l2-DeepFool crosses a boundary, and the normals there, of length 1.

    The steps are those of `deepfool`, made of one forward and one gradient at each point: the
    gradient of the likeliest other class is the normal where the class has changed, and where it
    has not, that of the nearest candidate, unless another is as likely and steeper.
    """
    point, total, normal = x.clone(), torch.zeros_like(x), torch.zeros_like(x)
    at, others = torch.arange(len(x), device=x.device), torch.empty(0)
    for step in range(_DEEPFOOL_STEPS + 1):
        here, label = point[at].requires_grad_(), y[at]
        with model.playing(rows[at.cpu()].tolist()):
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
            model, point[at], y[at], Boundaries(others[at], gaps, w), rows[at.cpu()]
        )
        total[at] += length.view(-1, 1, 1, 1) * direction
        point[at] = (x[at] + (1 + parameters.overshoot) * total[at]).clamp(0, 1)
    size = normal.flatten(1).norm(dim=1).clamp(min=_LEAST)
    return point, normal / size.view(-1, 1, 1, 1)


def sparse_step(
    x: torch.Tensor, w: torch.Tensor, point: torch.Tensor, low: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    """Return x moved just beyond the plane through `point`, in as few coordinates as will do.

    Algorithm 1: coordinates in the order of falling |w_j| move towards sign(w_j), each as far as
    needed or to its bound. What those before j can do is a cumulative sum. Where all together do
    not reach the plane, all are at their bounds; an x beyond the plane already goes as far again,
    where the authors' loop would move every coordinate.

    Args:
        x: float32 (N, ...), between its bounds.
        w: the planes' normals, of length 1 and of the shape of x.
        point: a point of each plane, of the shape of x.
        low: the least each coordinate may become, of the shape of x.
        high: the most, of the shape of x.
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

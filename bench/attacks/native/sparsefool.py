"""SparseFool for whole batches: few pixels, found by sorting instead of one coordinate at a time."""

from __future__ import annotations

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.deepfool import Crossed, deepfool, likeliest_others

#: The authors' code lets DeepFool take 50 steps and goes this far beyond the plane.
_DEEPFOOL_STEPS = 50
_BETA = 1e-3
_TINY = 1e-30


def sparsefool(
    model: Probe,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    lam: float,
    steps: int,
    overshoot: float,
    candidates: int,
) -> Crossed:
    """Move few coordinates, each as far as the box allows, until the class changes.

    Modas et al., 'SparseFool', CVPR 2019, algorithm 2. With f the logits, from x_0 = x on:

        x_B     = l2-DeepFool(x_i), of class k
        w       = grad(f_k - f_y)(x_B)
        x_{i+1} = LinearSolver(x_i, w, x_i + lambda (x_B - x_i))                 algorithm 1
        tried   = clip(x_0 + (1 + overshoot) (x_{i+1} - x_0), 0, 1)

    Like the authors' code it goes on from x_i and looks at what is tried; k is the likeliest class
    but y at x_B. What an image does never depends on the others, but for rounding.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1].
        y: int64 (N,), the classes to get away from.
        lam: lambda; more of it crosses sooner and changes more pixels.
        steps: at most so many planes.
        overshoot: by what share each boundary, and the image found, are overstepped.
        candidates: how many classes DeepFool tries, y among them.

    Returns:
        The images, the clean one where the class never changed, and the planes each took.
    """
    reached, found = x.clone(), x.clone()
    iterations = torch.zeros(len(x), dtype=torch.int64)
    at = torch.arange(len(x), device=x.device)
    for _ in range(steps):
        here, label, rows = reached[at], y[at], at.cpu()
        boundary = deepfool(
            model,
            here,
            label,
            norm="l2",
            steps=_DEEPFOOL_STEPS,
            overshoot=overshoot,
            candidates=candidates,
            rows=rows,
        ).x_adv
        with model.playing(rows.tolist()):
            w = _normal(model, boundary, label)
        moved = sparse_step(here, w, here + lam * (boundary - here))
        tried = (x[at] + (1 + overshoot) * (moved - x[at])).clamp(0, 1)
        with torch.no_grad(), model.playing(rows.tolist()):
            crossed = model(tried).argmax(1) != label
        iterations[rows] += 1
        reached[at] = moved
        found[at[crossed]] = tried[crossed]
        at = at[~crossed]
        if not len(at):
            break
    return Crossed(found, iterations)


def _normal(model: Probe, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the normals of the boundaries at x to the likeliest other classes, of length 1."""
    x = x.requires_grad_()
    logits = model(x)
    other = likeliest_others(logits.detach(), y, 1)
    gap = logits.gather(1, other) - logits.gather(1, y[:, None])
    (w,) = torch.autograd.grad(gap.sum(), x)
    length: torch.Tensor = w.flatten(1).norm(dim=1).clamp(min=_TINY)
    return w / length.view(-1, 1, 1, 1)


def sparse_step(x: torch.Tensor, w: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """Return x moved just beyond the plane through `point`, in as few coordinates as will do.

    Algorithm 1: coordinates in the order of falling |w_j| move towards sign(w_j), each as far as
    needed or to its bound, 0 or 1. What those before j can do is a cumulative sum. Where all
    together do not reach the plane, all are at their bounds; an x beyond the plane already goes as
    far again, where the authors' loop would move every coordinate.

    Args:
        x: float32 (N, ...) in [0, 1].
        w: the planes' normals, of length 1 and of the shape of x.
        point: a point of each plane, of the shape of x.
    """
    flat, normal = x.flatten(1), w.flatten(1)
    gap = (normal * (point.flatten(1) - flat)).sum(1, keepdim=True).abs().clamp(min=_TINY)
    slope, order = normal.abs().sort(dim=1, descending=True)
    sign = normal.sign().gather(1, order)
    start = flat.gather(1, order)
    room = torch.where(sign > 0, 1 - start, start) * (sign != 0)
    reach = slope * room
    before = reach.cumsum(1) - reach
    move = ((gap + _BETA - before) / slope.clamp(min=_TINY)).minimum(room) * (before < gap)
    return flat.scatter(1, order, (start + sign * move).clamp(0, 1)).view_as(x)

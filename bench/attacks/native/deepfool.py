"""DeepFool for whole batches: images that have crossed a boundary leave the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.result import NativeResult

#: Added to the length of every step and to every slope, as in the authors' code and in Foolbox.
NUDGE = 1e-4
TINY = 1e-8
#: A class whose logit gap is this many times the smallest one is assumed to be farther away: its boundary
#: would be nearer only if its slope were steeper by more than this factor.
_STEEPER = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepFool:
    """The parameters of DeepFool.

    Attributes:
        norm: in which distances are measured.
        steps: the largest number of steps.
        overshoot: how far to step beyond a boundary, as a share of the way.
        candidates: how many classes are tried, including the label.
        every_gradient: whether to take the gradient of every candidate; otherwise, in l2, only of the
            classes likely to be nearest, see `nearest_boundary`.
        clip: whether the image is clipped to [0, 1] at all `steps`, or once, at the `end`.
        final_overshoot: with `end`, the overshoot of the image returned; None for `overshoot`.
    """

    norm: Literal["l2", "linf"]
    steps: int
    overshoot: float
    candidates: int
    every_gradient: bool = True
    clip: Literal["steps", "end"] = "steps"
    final_overshoot: float | None = None


class Boundaries(NamedTuple):
    """The boundaries to other classes, linearised at some points.

    Attributes:
        others: int64 (N, K), the candidate classes.
        gaps: (N, K), |f_k - f_y| of each candidate.
        w: (N, C, H, W), the gradient of f_k - f_y for the candidate with the smallest gap.
    """

    others: torch.Tensor
    gaps: torch.Tensor
    w: torch.Tensor


def deepfool(
    model: Probe,
    x: torch.Tensor,
    y: torch.Tensor,
    parameters: DeepFool,
    rows: torch.Tensor | None = None,
) -> NativeResult:
    """Step to the nearest linearised boundary until the class changes.

    Moosavi-Dezfooli et al., 'DeepFool', CVPR 2016, algorithm 2, and section 3.3 for linf. With f the
    logits, f'_k = f_k - f_y and w'_k its gradient at x_i, over the classes k that are likeliest at
    x_0 (without y):

        l   = argmin_k |f'_k| / ||w'_k||_q                                q = 2; 1 for linf
        r_i = |f'_l| / ||w'_l||_2^2 w'_l           for linf: |f'_l| / ||w'_l||_1 sign(w'_l)
        x_i = clip(x_0 + (1 + overshoot) sum_j r_j, 0, 1)

    As in Foolbox, the class is tested after the overshoot and each step is 1e-4 longer. No image
    depends on the others in the batch, except by rounding.

    With `clip="end"` nothing is clipped before the last step, and each step is at least 1e-4 long instead
    of 1e-4 longer. The steps may then cross a boundary outside [0, 1], which the clip at the end may undo.
    The image before the clip is returned too.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1]; an image that is not of class y stays as it is.
        y: int64 (N,), the classes to leave.
        parameters: of the attack.
        rows: int64 (N,), which of the attacked images these are; None for all.

    Returns:
        The images (after the last step if no boundary was crossed) and the steps each took.
    """
    rows = torch.arange(len(x), device=x.device) if rows is None else rows.to(x.device)
    at_end = parameters.clip == "end"
    x_adv, total = x.clone(), torch.zeros_like(x)
    iterations = torch.zeros_like(rows)
    at, others = torch.arange(len(x), device=x.device), None
    for _ in range(parameters.steps):
        if not len(at):
            break
        with model.playing(rows[at]):
            point = x_adv[at].requires_grad_()
            logits = model(point)
            if others is None:
                others = likeliest_others(logits.detach(), y, parameters.candidates - 1)
            if parameters.every_gradient:
                distance, direction = _nearest(point, logits, y[at], others[at], parameters.norm)
            else:
                distance, direction = _likely_nearest(
                    model, point, logits, y[at], others[at], rows[at]
                )
            length = distance.clamp(min=NUDGE) if at_end else distance + NUDGE
            step = length.view(-1, 1, 1, 1) * direction
            # Only at the first step can an image be of another class; later ones have left the batch.
            stays = (logits.detach().argmax(1) != y[at]).view(-1, 1, 1, 1)
            total[at] += step.masked_fill(stays, 0)
            moved = x[at] + (1 + parameters.overshoot) * total[at]
            x_adv[at] = moved if at_end else moved.clamp(0, 1)
            iterations[at] += 1
            with torch.no_grad():
                at = at[model(x_adv[at]).argmax(1) == y[at]]
    if not at_end:
        return NativeResult(x_adv, iterations.cpu())
    if parameters.final_overshoot is not None:
        x_adv = x + (1 + parameters.final_overshoot) * total
    return NativeResult(x_adv.clamp(0, 1), iterations.cpu(), x_adv)


def likeliest_others(logits: torch.Tensor, y: torch.Tensor, count: int) -> torch.Tensor:
    """Return the `count` likeliest classes other than y (all of them if fewer): (N, count)."""
    rest = logits.scatter(1, y[:, None], -torch.inf)
    return rest.topk(min(count, logits.shape[1] - 1), dim=1).indices


def _nearest(
    x: torch.Tensor,
    logits: torch.Tensor,
    y: torch.Tensor,
    others: torch.Tensor,
    norm: Literal["l2", "linf"],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the distance (N,) to the nearest linearised boundary and the way there, of length 1 in the norm.

    Computed from the logits of x, with one backward pass per candidate.
    """
    gaps = logits.gather(1, others) - logits.gather(1, y[:, None])
    distance, slope, w = (torch.empty(0, device=x.device) for _ in range(3))
    for k in range(others.shape[1]):
        last = k == others.shape[1] - 1
        (w_k,) = torch.autograd.grad(gaps[:, k].sum(), x, retain_graph=not last)
        slope_k = w_k.flatten(1).norm(p=2 if norm == "l2" else 1, dim=1) + TINY
        distance_k = gaps[:, k].detach().abs() / slope_k
        if k == 0:
            distance, slope, w = distance_k, slope_k, w_k
            continue
        nearer = distance_k < distance
        distance = torch.where(nearer, distance_k, distance)
        slope = torch.where(nearer, slope_k, slope)
        w = torch.where(nearer.view(-1, 1, 1, 1), w_k, w)
    return distance, w / slope.view(-1, 1, 1, 1) if norm == "l2" else w.sign()


def _likely_nearest(
    model: Probe,
    x: torch.Tensor,
    logits: torch.Tensor,
    y: torch.Tensor,
    others: torch.Tensor,
    rows: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same in l2, mostly with one backward pass."""
    gaps = logits.gather(1, others) - logits.gather(1, y[:, None])
    away = gaps.detach().abs()
    (w,) = torch.autograd.grad(gaps.gather(1, away.argmin(1, keepdim=True)).sum(), x)
    return nearest_boundary(model, x.detach(), y, Boundaries(others, away, w), rows)


def nearest_boundary(
    model: Probe, x: torch.Tensor, y: torch.Tensor, boundaries: Boundaries, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the l2 distance (N,) to the nearest linearised boundary, and the step to it.

    The gradient of a class is taken only if its gap is less than 1.5 times the smallest: a class with a
    larger gap would have to be that much steeper, which is rare.
    """
    others, gaps, w = boundaries
    least, first = gaps.min(1, keepdim=True)
    rivals = (gaps < _STEEPER * least).scatter(1, first, value=False)
    slopes = w.flatten(1).norm(dim=1) + TINY
    distance = least.squeeze(1) / slopes
    direction = w / slopes.view(-1, 1, 1, 1)
    # One gradient each, in batches no larger than the attacked one.
    for pairs in torch.split(rivals.nonzero(), len(model.forwards)):
        if not len(pairs):
            break
        row, column = pairs.unbind(1)
        with model.playing(rows[row]):
            here = x[row].requires_grad_()
            logits = model(here)
            gap = logits.gather(1, others[row, column, None]) - logits.gather(1, y[row, None])
            (w_k,) = torch.autograd.grad(gap.sum(), here)
        slope = w_k.flatten(1).norm(dim=1) + TINY
        away, number = torch.full_like(gaps, torch.inf), torch.zeros_like(others)
        away[row, column] = gaps[row, column] / slope
        number[row, column] = torch.arange(len(row), device=row.device)
        shortest, of = away.min(1, keepdim=True)
        nearer = shortest.squeeze(1) < distance
        chosen = number.gather(1, of).squeeze(1)
        distance = torch.where(nearer, shortest.squeeze(1), distance)
        closer = w_k[chosen] / slope[chosen].view(-1, 1, 1, 1)
        direction = torch.where(nearer.view(-1, 1, 1, 1), closer, direction)
    return distance, direction

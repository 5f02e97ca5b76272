"""DeepFool for whole batches: images that have crossed a boundary leave the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.result import NativeResult

#: What the authors' code and Foolbox add to the length of every step and to every slope.
NUDGE = 1e-4
TINY = 1e-8
#: A class so many times as far below in its logit as the likeliest other one is taken for farther:
#: its boundary is nearer only where its slope is more than so many times as steep.
_STEEPER = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepFool:
    """The parameters of DeepFool.

    Attributes:
        norm: in which distances are measured.
        steps: at most so many.
        overshoot: by what share a boundary is overstepped.
        candidates: how many classes are tried, the label among them.
        every_gradient: whether each class tried gets its gradient; otherwise, in l2, only those that
            are likely to be the nearest: see `nearest_boundary`.
    """

    norm: Literal["l2", "linf"]
    steps: int
    overshoot: float
    candidates: int
    every_gradient: bool = True


class Boundaries(NamedTuple):
    """The boundaries to other classes as they are linearised at some points.

    Attributes:
        others: int64 (N, K), the candidates.
        gaps: (N, K), their |f_k - f_y|.
        w: (N, C, H, W), the gradients of f_k - f_y for those of the least gap.
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

    As in Foolbox, the class is looked at after the overshoot and each step is 1e-4 longer. What
    an image does never depends on the others, but for rounding.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1]; one that is not of class y stays as it is.
        y: int64 (N,), the classes to get away from.
        parameters: of the attack.
        rows: int64 (N,), which of the attacked images these are; None for all.

    Returns:
        The images, the last step where no boundary was crossed, and the steps each took.
    """
    rows = torch.arange(len(x)) if rows is None else rows
    x_adv, total = x.clone(), torch.zeros_like(x)
    iterations = torch.zeros(len(x), dtype=torch.int64)
    at, others = torch.arange(len(x), device=x.device), None
    for _ in range(parameters.steps):
        if not len(at):
            break
        with model.playing(rows[at.cpu()].tolist()):
            point = x_adv[at].requires_grad_()
            logits = model(point)
            if others is None:
                others = likeliest_others(logits.detach(), y, parameters.candidates - 1)
            if parameters.every_gradient:
                step = _step(point, logits, y[at], others[at], parameters.norm)
            else:
                step = _likely_step(model, point, logits, y[at], others[at], rows[at.cpu()])
            # Only the first step can meet an image of another class: the rest have left.
            stays = (logits.detach().argmax(1) != y[at]).view(-1, 1, 1, 1)
            total[at] += step.masked_fill(stays, 0)
            x_adv[at] = (x[at] + (1 + parameters.overshoot) * total[at]).clamp(0, 1)
            iterations[at.cpu()] += 1
            with torch.no_grad():
                at = at[model(x_adv[at]).argmax(1) == y[at]]
    return NativeResult(x_adv, iterations)


def likeliest_others(logits: torch.Tensor, y: torch.Tensor, count: int) -> torch.Tensor:
    """Return the `count` likeliest classes, or all there are, that are not y: (N, count)."""
    rest = logits.scatter(1, y[:, None], -torch.inf)
    return rest.topk(min(count, logits.shape[1] - 1), dim=1).indices


def _step(
    x: torch.Tensor,
    logits: torch.Tensor,
    y: torch.Tensor,
    others: torch.Tensor,
    norm: Literal["l2", "linf"],
) -> torch.Tensor:
    """Return r_i by one backward a candidate, from the logits of x."""
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
        w[nearer] = w_k[nearer]
    length = (distance + NUDGE).view(-1, 1, 1, 1)
    return length * (w / slope.view(-1, 1, 1, 1) if norm == "l2" else w.sign())


def _likely_step(
    model: Probe,
    x: torch.Tensor,
    logits: torch.Tensor,
    y: torch.Tensor,
    others: torch.Tensor,
    rows: torch.Tensor,
) -> torch.Tensor:
    """Return r_i in l2, mostly by one backward."""
    gaps = logits.gather(1, others) - logits.gather(1, y[:, None])
    away = gaps.detach().abs()
    (w,) = torch.autograd.grad(gaps.gather(1, away.argmin(1, keepdim=True)).sum(), x)
    length, direction = nearest_boundary(model, x.detach(), y, Boundaries(others, away, w), rows)
    return length.view(-1, 1, 1, 1) * direction


def nearest_boundary(
    model: Probe, x: torch.Tensor, y: torch.Tensor, boundaries: Boundaries, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the distance (N,) to the nearest of the linearised boundaries in l2, and the way there.

    A class gets a gradient of its own only where its gap is under 1.5 times the least: one farther
    off would have to be that much steeper, which is rare.
    """
    others, gaps, w = boundaries
    least, first = gaps.min(1, keepdim=True)
    rivals = (gaps < _STEEPER * least).scatter(1, first, value=False)
    slopes = w.flatten(1).norm(dim=1) + TINY
    distance = least.squeeze(1) / slopes
    direction = w / slopes.view(-1, 1, 1, 1)
    # A gradient each, in batches no larger than the one that is attacked.
    for pairs in torch.split(rivals.nonzero(), len(model.forwards)):
        if not len(pairs):
            break
        row, column = pairs.unbind(1)
        with model.playing(rows[row.cpu()].tolist()):
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
        chosen = number.gather(1, of).squeeze(1)[nearer]
        distance[nearer] = shortest.squeeze(1)[nearer]
        direction[nearer] = w_k[chosen] / slope[chosen].view(-1, 1, 1, 1)
    return distance + NUDGE, direction

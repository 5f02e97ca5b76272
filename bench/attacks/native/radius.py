"""Adversarial radii: the distance along signs of gradients at which the label of each image changes.

They are attacks of the table, so radii are stored, judged and counted as all other results. A search ends
where the label of the attacked surface flips. If the judge is not that surface (a vote of a k-NN model)
and keeps its label there, the image counts as never broken, though it may be farther out: compare the
surfaces.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.result import NativeResult

#: Tolerance of the smallest eps along a line, in pixel units of [0, 1].
PRECISION = 1e-6
#: How often eps may grow, twice as much each time, if a batch of another size is rounded differently.
_NUDGES = 8


def fgsm_radius(
    model: Probe, x: torch.Tensor, y: torch.Tensor, *, max_eps: float, scan: int
) -> torch.Tensor:
    """Return clip(x + eps s, 0, 1) with the smallest eps at which the label is not y.

    s is the sign of the gradient of the cross-entropy at x, the direction of FGSM (Goodfellow et
    al., 2015, section 4). A label can flip back farther out, so eps is searched on a grid from below
    first. Bisection to 1e-6 follows, between the first grid point with another label and the point
    before it. If the label flips several times between two grid points, one of the flips is found.

    Once every moving pixel has reached a bound, a larger eps changes nothing. So the eps found is, to
    1e-6, also the linf distance.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1]; an image that is not of class y stays as it is.
        y: int64 (N,), the classes to leave.
        max_eps: the last grid point; an image that never flips is left there.
        scan: the number of grid points, without 0.
    """
    everyone = torch.arange(len(x), device=x.device)
    slope, stays = _slope(model, x, y, everyone)
    line = _Line(model, x, y, slope.sign())
    gap = max_eps / scan
    eps = torch.where(stays, max_eps, 0.0).double()
    left, bracketed = everyone[stays], torch.zeros_like(stays)
    for turn in range(1, scan + 1):
        if not len(left):
            break
        flipped = line.flips(left, torch.full_like(eps[left], turn * gap))
        eps[left[flipped]] = turn * gap
        bracketed[left[flipped]] = True
        left = left[~flipped]
    at, width = everyone[bracketed], gap
    while len(at) and width > PRECISION:
        width /= 2
        flipped = line.flips(at, eps[at] - width)
        eps[at[flipped]] -= width
    # The judge predicts all images in one batch, whose size may change the rounding.
    for turn in range(_NUDGES if len(at) else 0):
        kept = bracketed & ~line.flips(everyone, eps)
        if not kept.any():
            break
        eps[kept] += PRECISION * 2**turn
    return line.at(everyone, eps)


def ifgsm_radius(
    model: Probe, x: torch.Tensor, y: torch.Tensor, *, step_size: float, steps: int, project: float
) -> NativeResult:
    """Take signed gradient steps until the label is not y.

    x_{i+1} = P(x_i + step_size sign(g_i)), g_i the gradient of the cross-entropy at x_i, P the
    projection on the linf ball around x_0 and on [0, 1] (Kurakin et al., 2017, section 2.2; Madry et
    al., 2018, section 2.1).

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1]; an image that is not of class y stays as it is.
        y: int64 (N,), the classes to leave.
        step_size: in linf.
        steps: the largest number of steps.
        project: the radius of the ball; 1 is the whole box and projects nothing.
    """
    everyone = torch.arange(len(x), device=x.device)
    low, high = (x - project).clamp(min=0), (x + project).clamp(max=1)
    x_adv, iterations = x.clone(), torch.zeros_like(everyone)
    at, stepping = everyone, False
    while len(at):
        slope, stays = _slope(model, x_adv[at], y[at], at)
        goes_on = (stays | stepping) & (iterations[at] < steps)
        at, slope = at[goes_on], slope[goes_on]
        moved = x_adv[at] + step_size * slope.sign()
        x_adv[at] = torch.minimum(torch.maximum(moved, low[at]), high[at])
        iterations[at] += 1
        stepping = not len(at)
        if stepping:
            # The judge predicts all images in one batch, whose size may change the rounding: an image
            # that keeps its label there takes one more step.
            kept = ~_flips(model, x_adv, y, everyone)
            at = everyone[kept & (iterations < steps)]
    return NativeResult(x_adv, iterations.cpu())


class _Line(NamedTuple):
    """The line from each image along the signs of its gradient."""

    model: Probe
    x: torch.Tensor
    y: torch.Tensor
    sign: torch.Tensor

    def at(self, rows: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        """Return the points (n, C, H, W) at eps (n,) of some of the images."""
        length = eps.to(self.x.dtype).view(-1, 1, 1, 1)
        return (self.x[rows] + length * self.sign[rows]).clamp(0, 1)

    def flips(self, rows: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        """Return whether the label at eps (n,) differs from that of the image, bool (n,)."""
        return _flips(self.model, self.at(rows, eps), self.y[rows], rows)


def _flips(model: Probe, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), model.playing(rows):
        flipped: torch.Tensor = model(x).argmax(1) != y
    return flipped


def _slope(
    model: Probe, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a gradient with the same signs as that of the cross-entropy, and whether the label is y.

    The cross-entropy is log(1 + exp(m)), which increases with m = log sum_{k != y} exp(z_k) - z_y. If
    the model is sure, its own gradient vanishes or loses the term of z_y; the gradient of m does neither.
    """
    with model.playing(rows):
        point = x.detach().clone().requires_grad_()
        logits = model(point)
        own = logits.gather(1, y[:, None]).squeeze(1)
        others = logits.scatter(1, y[:, None], -torch.inf).logsumexp(1)
        (slope,) = torch.autograd.grad((others - own).sum(), point)
    return slope, logits.detach().argmax(1) == y

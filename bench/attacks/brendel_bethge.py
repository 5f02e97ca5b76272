"""What the Brendel-Bethge attacks of Foolbox and ART share: one solver, with the same faults."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from bench.attacks.job import Job
from bench.attacks.native.start import far_start

#: How far an image is taken across the boundary, as a share of its change.
_NUDGE = 1e-3


class Solver:
    """The trust-region solver of both toolkits, kept from running forever.

    The solver multiplies a Lagrange multiplier up to 1e10, or up to infinity, until a step along the
    gradient reaches the boundary. With a tiny or zero gradient that takes forever. Scaling gradient
    and distance by a power of two leaves the problem the same, so the largest slope is brought to
    between 1 and 2 (at exactly 1 the l1 solver would stop on a tie). Without a slope there is nothing
    to solve.

    Arguments are float64 arrays and Python floats, so that it is compiled only once.
    """

    def __init__(self, solver: Any) -> None:
        self._solver = solver

    def solve(
        self, x0: Any, x: Any, b: Any, min_: float, max_: float, c: float, r: float
    ) -> np.ndarray[Any, Any]:
        """Return the step from x that comes nearest to x0 within r, on the plane b delta = c."""
        steepest = float(np.abs(b).max())
        if not 0 < steepest < np.inf or not np.isfinite(c):
            return np.zeros(len(x0))
        scale = 2.0 ** -np.floor(np.log2(steepest))
        step: np.ndarray[Any, Any] = self._solver.solve(
            x0.astype(np.float64),
            x.astype(np.float64),
            b.astype(np.float64) * scale,
            float(min_),
            float(max_),
            float(c) * scale,
            float(r),
        )
        finite: np.ndarray[Any, Any] = np.nan_to_num(step)
        return finite


@cache
def compiled(kind: type[Any]) -> Solver:
    """Return a solver of one of their classes, compiled, which takes a minute."""
    solver = Solver(kind())
    solver.solve(np.full(4, 0.4), np.full(4, 0.6), np.ones(4), 0.0, 1.0, -0.1, 0.5)
    return solver


def from_far(
    job: Job, attack: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
) -> torch.Tensor:
    """Return what an attack finds from a start far from each image; without a start the clean image.

    One image at a time, since both libraries multiply the trust region by the batch size.

    Args:
        job: what is attacked.
        attack: maps an image and its start, each (1, C, H, W), and its row to the image found.
    """
    start = far_start(job.probe, job.x, job.y, job.target, job.seed)
    x_adv = job.x.clone()
    for row in start.found.nonzero().flatten().tolist():
        image = job.x[row : row + 1]
        with job.probe.playing([row]):
            tried = attack(image, start.x[row : row + 1], row).clamp(0, 1)
            x_adv[row] = _across(job, image, tried, row)[0]
    return x_adv


def _across(job: Job, image: torch.Tensor, tried: torch.Tensor, row: int) -> torch.Tensor:
    """Return an image moved slightly across the boundary if that fools the model, else unchanged.

    The attack ends on the boundary up to rounding, which would leave the class to chance.
    """
    beyond = (image + (1 + _NUDGE) * (tried - image)).clamp(0, 1)
    with torch.no_grad():
        label = job.probe(beyond).argmax(1)
    fooled = label != job.y[row] if job.target is None else label == job.target[row]
    return beyond if bool(fooled) else tried

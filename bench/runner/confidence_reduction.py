"""Confidence reduction: the nearest image at which the model's confidence in the label is halved.

No toolkit has an attack for this goal. An attack that changes labels lowers the confidence in the true
class on its way, and a lost label counts as lost confidence, so every such attack also serves this goal.
With a budget, the image found is kept. After a minimal-norm attack it is moved back towards the clean
image as far as the goal stays reached, according to the judge: the attacked surface may be more or less
sure than the model itself.
"""

from __future__ import annotations

import dataclasses
import time

import torch

from bench.attacks.catalogue import is_minimal
from bench.attacks.run_attack import AttackResult
from bench.runner.judge import Attempt, decision, judge, readable
from bench.spec import Adapter, AttackSpec

_HALVINGS = 15


def bisect_to_boundary(adapter: Adapter, attempt: Attempt, tried: AttackResult) -> AttackResult:
    """Return for each image the nearest point that reaches the goal, on the line to the image tried.

    Found by bisection to 2^-15 of the line. If confidence rises and falls again along it, the result is
    one of the points where it crosses. Every norm shrinks towards the clean image. An image that does not
    reach the goal, or comes from an attack with a budget, stays as it is. Each query counts as a forward
    pass.

    Args:
        adapter: the model, which judges.
        attempt: the attack, whose goal is confidence reduction.
        tried: the images it returned.
    """
    began = time.perf_counter()
    x = attempt.x
    shown = readable(x, tried.x_adv)
    if shown is None or not is_minimal(attempt.spec.name):
        return tried

    def reached(images: torch.Tensor) -> torch.Tensor:
        verdict = judge(attempt, adapter.spec, images, decision(adapter, images))
        return torch.tensor(verdict.success, device=x.device).view(-1, 1, 1, 1)

    whole = reached(shown)
    nearest, low, high = tried.x_adv, x.new_zeros(len(x), 1, 1, 1), x.new_ones(len(x), 1, 1, 1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        point = torch.lerp(x, shown, middle)
        kept = reached(point) & whole
        nearest = torch.where(kept, point, nearest)
        low, high = torch.where(kept, low, middle), torch.where(kept, middle, high)
    return tried._replace(
        x_adv=nearest,
        unclipped=None,
        forwards=tried.forwards + 1 + _HALVINGS,
        seconds=tried.seconds + time.perf_counter() - began,
    )


def plain(spec: AttackSpec) -> AttackSpec:
    """Return the same attack with the goal of changing labels; attacks with other goals as they are.

    Both get the same random numbers, so confidence reduction succeeds wherever the label changes.
    """
    if spec.goal != "confidence-reduction":
        return spec
    return dataclasses.replace(
        spec, parameters=tuple(pair for pair in spec.parameters if pair[0] != "goal")
    )

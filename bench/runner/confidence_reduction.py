"""Confidence reduction: how near the clean image the model's confidence in the label can be halved.

No toolkit has an attack of this goal. Attacks that change labels lower the confidence in the true class
on their way, and a label lost is confidence lost, so that each of them is one of this goal too. With a
budget, the image found is kept whole. Of a minimal-norm attack it is drawn back towards the clean one
as far as the goal stays reached, by the same judge that has the last word: a surface that is attacked
may be less sure, or surer, than the model itself.
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
    """Return for each image the nearest point on the way to what was tried that reaches the goal.

    Found by bisection to 2^-15 of the way; where confidence rises and falls again, it is one of the
    points at which the goal is reached. No norm grows on the way. An image that does not reach the
    goal, or was found with a budget, is left as it is. Each question to the model counts as a forward.

    Args:
        adapter: the model, which judges.
        attempt: what the attack was to do; its goal is confidence reduction.
        tried: what the attack found.
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
        forwards=tried.forwards + 1 + _HALVINGS,
        seconds=tried.seconds + time.perf_counter() - began,
    )


def plain(spec: AttackSpec) -> AttackSpec:
    """Return the attack on labels that one of this goal is made of; others as they are.

    Both are given the same random numbers, so that the one succeeds wherever the other does.
    """
    if spec.goal != "confidence-reduction":
        return spec
    return dataclasses.replace(
        spec, parameters=tuple(pair for pair in spec.parameters if pair[0] != "goal")
    )

"""Minimal-norm attacks, by Foolbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.foolbox_driver.common import clean_unless_found, criterion, model
from bench.attacks.job import Job
from bench.attacks.native.start import far_start
from bench.spec import Norm

_TINY = 1e-12


def _deepfool(job: Job) -> torch.Tensor:
    from foolbox.attacks.deepfool import L2DeepFoolAttack, LinfDeepFoolAttack

    attack = (L2DeepFoolAttack if job.spec.norm == "l2" else LinfDeepFoolAttack)(
        steps=job.spec.parameter("steps"),
        candidates=job.spec.parameter("candidates"),
        overshoot=job.spec.amount("overshoot"),
    )
    x_adv: torch.Tensor = attack.run(model(job), job.x, criterion(job))
    return x_adv


def _cw(job: Job) -> torch.Tensor:
    from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack

    attack = L2CarliniWagnerAttack(
        binary_search_steps=job.spec.parameter("search_steps"),
        steps=job.spec.parameter("steps"),
        stepsize=job.spec.amount("step_size"),
        confidence=job.spec.amount("confidence"),
        initial_const=job.spec.amount("c"),
        abort_early=False,  # it would stop on the loss of the whole batch
    )
    return clean_unless_found(job, attack.run(model(job), job.inside(), criterion(job)))


def _ead(job: Job) -> torch.Tensor:
    from foolbox.attacks.ead import EADAttack

    attack = EADAttack(
        binary_search_steps=job.spec.parameter("search_steps"),
        steps=job.spec.parameter("steps"),
        initial_stepsize=job.spec.amount("step_size"),
        confidence=job.spec.amount("confidence"),
        initial_const=job.spec.amount("c"),
        regularization=job.spec.amount("beta"),
        decision_rule="L1" if job.spec.norm == "l1" else "EN",
        abort_early=False,  # it would stop on the loss of the whole batch
    )
    return clean_unless_found(job, attack.run(model(job), job.x, criterion(job)))


def _ddn(job: Job) -> torch.Tensor:
    from foolbox.attacks.ddn import DDNAttack

    attack = DDNAttack(
        init_epsilon=job.spec.amount("init_eps"),
        steps=job.spec.parameter("steps"),
        gamma=job.spec.amount("gamma"),
    )
    # If Foolbox finds no adversarial image, it returns the clean one.
    x_adv: torch.Tensor = attack.run(model(job), job.x, criterion(job))
    return x_adv


@cache
def _fmn_classes() -> Mapping[Norm, type[Any]]:
    from foolbox.attacks.fast_minimum_norm import (
        L0FMNAttack,
        L1FMNAttack,
        L2FMNAttack,
        LInfFMNAttack,
    )

    class Counted(L0FMNAttack):
        """L0 FMN that keeps as many values as its ball allows; Foolbox keeps one more."""

        def project(self, x: Any, x0: Any, epsilon: Any) -> Any:
            return super().project(x, x0, epsilon - 1)

    class Projected(L2FMNAttack):
        """L2 FMN with a working projection; Foolbox divides the norm of the image by itself."""

        def project(self, x: Any, x0: Any, epsilon: Any) -> Any:
            step = (x - x0).raw
            length = step.flatten(1).norm(dim=1).clamp(min=_TINY)
            return x0 + step * (epsilon.raw / length).clamp(max=1).view(-1, 1, 1, 1)

    return {"l0": Counted, "l1": L1FMNAttack, "l2": Projected, "linf": LInfFMNAttack}


def _fmn(job: Job) -> torch.Tensor:
    attack = _fmn_classes()[job.spec.norm](
        steps=job.spec.parameter("steps"),
        max_stepsize=job.spec.amount("step_size"),
        gamma=job.spec.amount("gamma"),
    )
    # If Foolbox finds no adversarial image, it returns the clean one.
    x_adv: torch.Tensor = attack.run(model(job), job.x, criterion(job))
    # Where the box cuts steps short, the ball may stop growing before the boundary. That cannot happen
    # from a start beyond the boundary, which the paper also allows.
    left = (x_adv == job.x).flatten(1).all(1).nonzero().flatten()
    if len(left):
        x_adv[left] = _fmn_from_far(job, attack, left)
    return x_adv


def _fmn_from_far(job: Job, attack: Any, rows: torch.Tensor) -> torch.Tensor:
    """Return what FMN finds for some rows from a start far away; without a start the clean image."""
    from eagerpy.astensor import astensor

    target = None if job.target is None else job.target[rows]
    start = far_start(job.probe, job.x[rows], job.y[rows], target, job.seed, rows)
    x_adv, rows = job.x[rows], rows[start.found]
    if len(rows):
        with job.probe.playing(rows):
            x_adv[start.found] = attack.run(
                model(job),
                job.x[rows],
                criterion(job, rows),
                starting_points=astensor(start.x[start.found]),  # l0 calls its methods
            )
    return x_adv


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("deepfool", "l2"): _deepfool,
    ("deepfool", "linf"): _deepfool,
    ("cw", "l2"): _cw,
    ("ddn", "l2"): _ddn,
    ("ead", "l1"): _ead,
    ("ead-en", "l2"): _ead,
    ("fmn", "l0"): _fmn,
    ("fmn", "l1"): _fmn,
    ("fmn", "l2"): _fmn,
    ("fmn", "linf"): _fmn,
}

"""Attacks that look for the nearest adversarial image: Foolbox behind the canonical words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.foolbox_driver.common import clean_unless_found, criterion, model
from bench.attacks.job import Job
from bench.spec import Norm


def _deepfool(job: Job) -> torch.Tensor:
    from foolbox.attacks.deepfool import L2DeepFoolAttack, LinfDeepFoolAttack

    attack = (L2DeepFoolAttack if job.spec.norm == "l2" else LinfDeepFoolAttack)(
        steps=job.spec.word("steps"),
        candidates=job.spec.word("candidates"),
        overshoot=job.spec.amount("overshoot"),
    )
    found: torch.Tensor = attack.run(model(job), job.x, criterion(job))
    return found


def _cw(job: Job) -> torch.Tensor:
    from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack

    attack = L2CarliniWagnerAttack(
        binary_search_steps=job.spec.word("search_steps"),
        steps=job.spec.word("steps"),
        stepsize=job.spec.amount("step_size"),
        confidence=job.spec.amount("confidence"),
        initial_const=job.spec.amount("c"),
        abort_early=False,  # it would stop on the loss of the whole batch
    )
    return clean_unless_found(job, attack.run(model(job), job.inside(), criterion(job)))


def _ead(job: Job) -> torch.Tensor:
    from foolbox.attacks.ead import EADAttack

    attack = EADAttack(
        binary_search_steps=job.spec.word("search_steps"),
        steps=job.spec.word("steps"),
        initial_stepsize=job.spec.amount("step_size"),
        confidence=job.spec.amount("confidence"),
        initial_const=job.spec.amount("c"),
        regularization=job.spec.amount("beta"),
        decision_rule="L1",
        abort_early=False,  # it would stop on the loss of the whole batch
    )
    return clean_unless_found(job, attack.run(model(job), job.x, criterion(job)))


def _ddn(job: Job) -> torch.Tensor:
    from foolbox.attacks.ddn import DDNAttack

    attack = DDNAttack(
        init_epsilon=job.spec.amount("init_eps"),
        steps=job.spec.word("steps"),
        gamma=job.spec.amount("gamma"),
    )
    # Where it finds none it gives back the image itself.
    found: torch.Tensor = attack.run(model(job), job.x, criterion(job))
    return found


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("deepfool", "l2"): _deepfool,
    ("deepfool", "linf"): _deepfool,
    ("cw", "l2"): _cw,
    ("ddn", "l2"): _ddn,
    ("ead", "l1"): _ead,
}

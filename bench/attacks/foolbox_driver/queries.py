"""Attacks that see no gradient: Foolbox behind the canonical words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.foolbox_driver.common import within_budget
from bench.attacks.job import Job
from bench.spec import Norm


def _noise(job: Job) -> torch.Tensor:
    from foolbox.attacks.additive_noise import (
        L2AdditiveGaussianNoiseAttack,
        LinfAdditiveUniformNoiseAttack,
    )

    linf = job.spec.norm == "linf"
    return within_budget(
        job, (LinfAdditiveUniformNoiseAttack if linf else L2AdditiveGaussianNoiseAttack)()
    )


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("noise", "linf"): _noise,
    ("noise", "l2"): _noise,
}

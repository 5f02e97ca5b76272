"""Attacks that change few pixels, by Foolbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.foolbox_driver.common import criterion, model
from bench.attacks.job import Job
from bench.spec import Norm


def _salt_and_pepper(job: Job) -> torch.Tensor:
    from foolbox.attacks.saltandpepper import SaltAndPepperNoiseAttack

    attack = SaltAndPepperNoiseAttack(steps=job.spec.parameter("steps"))
    # If Foolbox finds no adversarial image, it returns the clean one.
    x_adv: torch.Tensor = attack.run(model(job), job.x, criterion(job))
    return x_adv


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("salt-and-pepper", "l2"): _salt_and_pepper,
}

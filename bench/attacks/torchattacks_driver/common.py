"""What several attacks of torchattacks share."""

from __future__ import annotations

from typing import Any

import torch

from bench.attacks.job import Job


def run(job: Job, attack: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the images of an attack that is given the job's classes, targeted if the job is."""
    if job.target is not None:
        attack.set_mode_targeted_by_label(quiet=True)
    x_adv: torch.Tensor = attack(x, job.goal)
    return x_adv


def positive(logits: torch.Tensor) -> torch.Tensor:
    """Return logits shifted to at least 1, since torchattacks masks classes by multiplying with 0."""
    return logits - logits.detach().amin(1, keepdim=True) + 1

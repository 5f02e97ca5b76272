"""What several of its attacks share."""

from __future__ import annotations

from typing import Any

import torch

from bench.attacks.job import Job


def run(job: Job, attack: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the image of an attack, started with explicit classes; it targets iff the job does."""
    if job.target is not None:
        attack.set_mode_targeted_by_label(quiet=True)
    found: torch.Tensor = attack(x, job.goal)
    return found


def positive(logits: torch.Tensor) -> torch.Tensor:
    """Return logits shifted to at least 1: torchattacks masks classes by multiplying with 0."""
    return logits - logits.detach().amin(1, keepdim=True) + 1

"""The attacks written here: those the toolkits lack, or whose words no toolkit honours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.job import Job
from bench.attacks.native.noise import noise
from bench.spec import Norm


def prepare() -> None:
    """Do nothing: there is no toolkit to import."""


def _noise(job: Job) -> torch.Tensor:
    return noise(job.x, job.spec.norm, job.eps, job.seed)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("noise", "linf"): _noise,
    ("noise", "l2"): _noise,
}

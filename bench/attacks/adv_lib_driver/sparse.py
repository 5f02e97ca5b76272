"""Attacks that change few pixels, by adv-lib."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.adv_lib_driver.common import goal, image_by_image
from bench.attacks.job import Job
from bench.spec import Norm


def _sigma_zero(job: Job) -> torch.Tensor:
    from adv_lib.attacks import sigma_zero

    # If it finds no adversarial image, it returns the clean one.
    x_adv: torch.Tensor = sigma_zero(
        job.probe, job.x, job.y, num_steps=job.spec.parameter("steps"),
        η_0=job.spec.amount("step_size"), σ=job.spec.amount("sigma"),
        τ_0=job.spec.amount("threshold"), τ_factor=job.spec.amount("threshold_step"),
    )  # fmt: skip
    return x_adv.clamp(0, 1)


def _vfga(job: Job, row: int) -> torch.Tensor:
    from adv_lib.attacks import vfga

    at = slice(row, row + 1)
    # If it finds no adversarial image, it returns the clean one.
    x_adv: torch.Tensor = vfga(
        job.probe, job.x[at], max_iter=job.spec.parameter("steps"),
        n_samples=job.spec.parameter("samples"), large_memory=True, **goal(job, at),
    )  # fmt: skip
    return x_adv


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("sigma-zero", "l0"): _sigma_zero,
    ("vfga", "l0"): image_by_image(_vfga),
}

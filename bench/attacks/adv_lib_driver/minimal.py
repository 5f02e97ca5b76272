"""Minimal-norm attacks that walk along or towards the boundary, by adv-lib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.adv_lib_driver.common import ORDER, goal, with_parts
from bench.attacks.job import Job
from bench.attacks.native.start import far_start
from bench.spec import Norm

_TINY = 1e-12


def _deepfool(job: Job) -> torch.Tensor:
    from adv_lib.attacks import df

    # It does not look at the image after its last step, and would return the clean one.
    x_adv: torch.Tensor = df(
        job.probe, job.x, job.y, steps=job.spec.parameter("steps"),
        overshoot=job.spec.amount("overshoot"), norm=ORDER[job.spec.norm], return_unsuccessful=True,
    )  # fmt: skip
    return job.clean_unless_finite(x_adv)


def _superdeepfool(job: Job) -> torch.Tensor:
    from adv_lib.attacks import sdf

    x_adv: torch.Tensor = sdf(
        job.probe, job.x, job.y, steps=job.spec.parameter("rounds"),
        df_steps=job.spec.parameter("steps"), overshoot=job.spec.amount("overshoot"),
        search_iter=job.spec.parameter("search_steps"),
    )  # fmt: skip
    return job.clean_unless_finite(x_adv)


def _trust_region(job: Job) -> torch.Tensor:
    from adv_lib.attacks import tr

    x_adv: torch.Tensor = tr(
        job.probe, job.x, job.y, iter=job.spec.parameter("steps"), p=ORDER[job.spec.norm],
        adaptive=job.spec.parameter("adaptive"), eps=job.spec.amount("region"),
        c=job.spec.parameter("candidates") - 1,  # the classes besides the label
    )  # fmt: skip
    return job.clean_unless_finite(x_adv)


def _ddn(job: Job) -> torch.Tensor:
    from adv_lib.attacks import ddn

    x_adv: torch.Tensor = ddn(
        job.probe, job.x, steps=job.spec.parameter("steps"), γ=job.spec.amount("gamma"),
        init_norm=job.spec.amount("init_eps"),
        levels=None,  # by default it rounds every step to 8 bits
        **goal(job),
    )  # fmt: skip
    return x_adv.clamp(0, 1)


@cache
def _fmn_function() -> Callable[..., Any]:
    from adv_lib.attacks import fmn

    return with_parts(fmn, l0_projection_=l0_projection, l2_projection_=l2_projection)


def l0_projection(δ: torch.Tensor, ε: torch.Tensor) -> torch.Tensor:
    """Keep of each perturbation the ε largest values, in place.

    adv-lib keeps one value where ε is 0, and fails where ε is 0 for the whole batch.
    """
    flat = δ.flatten(1)
    rank = flat.abs().argsort(dim=1, descending=True).argsort(dim=1)
    flat[rank >= ε.long().unsqueeze(1)] = 0
    return flat


def l2_projection(δ: torch.Tensor, ε: torch.Tensor) -> torch.Tensor:
    """Shorten each perturbation to length ε where it is longer, in place.

    adv-lib lengthens those that are shorter too, and cuts off values above 1.
    """
    flat = δ.flatten(1)
    return flat.mul_((ε / flat.norm(dim=1).clamp(min=_TINY)).clamp(max=1).unsqueeze(1))


def _fmn(job: Job) -> torch.Tensor:
    x_adv = _fmn_on(job, torch.arange(len(job.x), device=job.x.device))
    # Where the box cuts steps short, the ball may stop growing before the boundary. That cannot happen
    # from a start beyond the boundary, which the paper also allows.
    left = (x_adv == job.x).flatten(1).all(1).nonzero().flatten()
    if len(left):
        target = None if job.target is None else job.target[left]
        start = far_start(job.probe, job.x[left], job.y[left], target, job.seed, left)
        if start.found.any():
            rows = left[start.found]
            with job.probe.playing(rows):
                x_adv[rows] = _fmn_on(job, rows, start.x[start.found])
    return x_adv


def _fmn_on(job: Job, rows: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
    """Return what FMN finds for some rows, the clean image where that is nothing."""
    x_adv: torch.Tensor = _fmn_function()(
        job.probe, job.x[rows], norm=ORDER[job.spec.norm], steps=job.spec.parameter("steps"),
        α_init=job.spec.amount("step_size"), γ_init=job.spec.amount("gamma"),
        starting_points=start, **goal(job, rows),
    )  # fmt: skip
    return x_adv.clamp(0, 1)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("deepfool", "l2"): _deepfool,
    ("deepfool", "linf"): _deepfool,
    ("superdeepfool", "l2"): _superdeepfool,
    ("trust-region", "l2"): _trust_region,
    ("trust-region", "linf"): _trust_region,
    ("ddn", "l2"): _ddn,
    ("fmn", "l0"): _fmn,
    ("fmn", "l1"): _fmn,
    ("fmn", "l2"): _fmn,
    ("fmn", "linf"): _fmn,
}

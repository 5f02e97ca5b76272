"""Minimal-norm attacks that weigh the distance against the margin, by adv-lib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.adv_lib_driver.common import ORDER, goal, with_parts
from bench.attacks.job import Job
from bench.errors import UnsupportedAttack
from bench.spec import Norm


def _cw(job: Job) -> torch.Tensor:
    from adv_lib.attacks import carlini_wagner_l2

    x_adv: torch.Tensor = carlini_wagner_l2(
        job.probe, job.inside(), confidence=job.spec.amount("confidence"),
        learning_rate=job.spec.amount("step_size"), initial_const=job.spec.amount("c"),
        binary_search_steps=job.spec.parameter("search_steps"),
        max_iterations=job.spec.parameter("steps"),
        abort_early=False,  # it would stop on the loss of the whole batch, and fails under ten steps
        **goal(job),
    )  # fmt: skip
    return job.clean_unless_moved(x_adv)


def _cw_linf(job: Job) -> torch.Tensor:
    from adv_lib.attacks import carlini_wagner_linf

    x_adv: torch.Tensor = carlini_wagner_linf(
        job.probe, job.inside(), learning_rate=job.spec.amount("step_size"),
        max_iterations=job.spec.parameter("steps"), initial_const=job.spec.amount("c"),
        decrease_factor=job.spec.amount("shrink"), abort_early=False, **goal(job),
    )  # fmt: skip
    return job.clean_unless_moved(x_adv)


def _primal_dual(job: Job) -> dict[str, Any]:
    return {
        "num_steps": job.spec.parameter("steps"),
        "primal_lr": job.spec.amount("step_size"),
        "dual_ratio_init": job.spec.amount("weight"),
        "dual_lr": job.spec.amount("weight_step"),
    }


def _pdgd(job: Job) -> torch.Tensor:
    from adv_lib.attacks import pdgd

    x_adv: torch.Tensor = pdgd(job.probe, job.x, **_primal_dual(job), **goal(job))
    return x_adv.clamp(0, 1)


@cache
def _pdpgd_function() -> Callable[..., Any]:
    from adv_lib.attacks import pdpgd

    return with_parts(pdpgd, l23_proximal=l23_proximal)


def l23_proximal(x: torch.Tensor, λ: torch.Tensor) -> torch.Tensor:
    """Return the proximal point of λ times the sum of |x|^(2/3), value by value.

    The real root of the optimality condition (Cao et al., 2013, theorem 1), 0 where there is none. adv-lib
    takes the cube root of x²/16 less almost itself, which rounding makes negative, and so sets one value in
    ten to 0 where λ is small.
    """
    wide = x.double().square()
    within = wide.square() / 256 - 8 / 729 * λ.double().pow(3)
    root = within.clamp(min=0).sqrt()
    large = (wide / 16 + root).pow(1 / 3)
    # The product of the two cube roots is that of their radicands: 8/729 λ³.
    small = 2 / 9 * λ.double() / large.clamp(min=1e-300)
    b = 2 * (large + small)
    inner = (2 * x.double().abs() / b.sqrt().clamp(min=1e-300) - b).clamp(min=0).sqrt()
    size = (b.sqrt() + inner).pow(3) / 8
    return torch.where(within > 0, size, 0).to(x.dtype).copysign(x)


def _pdpgd(job: Job) -> torch.Tensor:
    l0 = job.spec.norm == "l0"
    x_adv: torch.Tensor = _pdpgd_function()(
        job.probe, job.x, norm=ORDER[job.spec.norm], **_primal_dual(job),
        proximal_operator=23 if l0 else None,  # as its authors advise
        **goal(job),
    )  # fmt: skip
    return x_adv.clamp(0, 1)


def _alma(job: Job) -> torch.Tensor:
    from adv_lib.attacks import alma

    if job.target is not None and job.num_classes < 4:
        raise UnsupportedAttack(
            f"adv-lib's alma compares four classes where it has a target; the model has {job.num_classes}"
        )
    x_adv: torch.Tensor = with_parts(alma, init_lr_finder=first_rate)(
        job.probe, job.x, num_steps=job.spec.parameter("steps"), distance=job.spec.norm,
        init_lr_distance=job.spec.amount("first_step"), α=job.spec.amount("decay"), **goal(job),
    )  # fmt: skip
    return x_adv.clamp(0, 1)


def first_rate(
    inputs: torch.Tensor,
    grad: torch.Tensor,
    distance_function: Callable[[torch.Tensor], torch.Tensor],
    target_distance: float,
) -> torch.Tensor:
    """Return the learning rates (N,) with which the first step goes as far as wanted, by bisection.

    adv-lib doubles the rate until the step is long enough: for ever where the box ends before that. Here it
    stops at a rate of 2^40.
    """

    def far(rate: torch.Tensor) -> torch.Tensor:
        moved = (inputs - rate.view(-1, *[1] * (inputs.ndim - 1)) * grad).clamp(0, 1)
        return distance_function(moved) > target_distance

    rate = torch.ones(len(inputs), device=inputs.device)
    lower = torch.zeros_like(rate)
    for _ in range(40):
        short = ~far(rate)
        if not short.any():
            break
        lower = torch.where(short, rate, lower)
        rate = torch.where(short, 2 * rate, rate)
    for _ in range(20):
        middle = (lower + rate) / 2
        above = far(middle)
        lower, rate = torch.where(above, lower, middle), torch.where(above, middle, rate)
    return (lower + rate) / 2


_FOUR: tuple[Norm, ...] = ("l0", "l1", "l2", "linf")

ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("cw", "l2"): _cw,
    ("cw-linf", "linf"): _cw_linf,
    ("pdgd", "l2"): _pdgd,
    **{("pdpgd", norm): _pdpgd for norm in _FOUR},
    ("alma", "l1"): _alma,
    ("alma", "l2"): _alma,
}

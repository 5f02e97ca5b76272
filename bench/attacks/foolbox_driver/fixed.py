"""Attacks with a fixed budget, by Foolbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.catalogue import parameter
from bench.attacks.foolbox_driver.common import within_budget
from bench.attacks.job import Job
from bench.attacks.restarts import restarted
from bench.spec import Norm


@cache
def _descent(base: type[Any]) -> type[Any]:
    """Return one of Foolbox's gradient attacks with the mean loss and a given start."""
    from eagerpy.astensor import astensor
    from eagerpy.framework import crossentropy

    class Descent(base):  # type: ignore[misc]
        start: torch.Tensor | None = None
        eot: int
        loss = "ce"

        def get_loss_fn(self, model: Any, labels: Any) -> Callable[[Any], Any]:
            def one(logits: Any) -> Any:
                if self.loss == "logit":
                    return -(logits * logits.onehot_like(labels)).sum(axis=-1).mean()
                return crossentropy(logits, labels).mean()

            def loss_fn(inputs: Any) -> Any:
                losses = [one(model(inputs)) for _ in range(self.eot)]
                return sum(losses[1:], losses[0]) / self.eot

            return loss_fn

        def get_random_start(self, x0: Any, epsilon: float) -> Any:
            return astensor(self.start)

    return Descent


@cache
def _descent_l2(base: type[Any]) -> type[Any]:
    """Return an l2 attack whose steps keep their length, however small the gradient of the mean loss."""
    from foolbox.devutils import atleast_kd, flatten

    class DescentL2(_descent(base)):  # type: ignore[misc]
        def normalize(self, gradients: Any, *, x: Any, bounds: Any) -> Any:
            norms = flatten(gradients).norms.l2(axis=-1).maximum(1e-30)
            return gradients / atleast_kd(norms, gradients.ndim)

    return DescentL2


@cache
def _momentum(base: type[Any]) -> type[Any]:
    """Return MI-FGSM as published (Dong et al.): it accumulates g / ||g||_1, Foolbox the signs."""
    from foolbox.devutils import atleast_kd, flatten

    class Momentum(_descent(base)):  # type: ignore[misc]
        def normalize(self, gradients: Any, *, x: Any, bounds: Any) -> Any:
            means = flatten(gradients).abs().mean(axis=-1)
            # A zero gradient stays zero.
            return gradients / atleast_kd(means + (means == 0), gradients.ndim)

    return Momentum


def _descended(job: Job, attack: Any) -> torch.Tensor:
    attack.eot = job.spec.parameter("eot")
    return within_budget(job, attack)


def _fgsm(job: Job) -> torch.Tensor:
    from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack

    attack = _descent(LinfFastGradientAttack)(random_start=False)
    attack.loss = parameter(job.spec, "loss")
    return _descended(job, attack)


def _bim(job: Job) -> torch.Tensor:
    from foolbox.attacks.basic_iterative_method import LinfBasicIterativeAttack

    spec = job.spec
    attack = _descent(LinfBasicIterativeAttack)(
        abs_stepsize=spec.amount("step_size"), steps=spec.parameter("steps"), random_start=False
    )
    return _descended(job, attack)


def _pgd(job: Job) -> torch.Tensor:
    from foolbox.attacks.projected_gradient_descent import (
        L2ProjectedGradientDescentAttack,
        LinfProjectedGradientDescentAttack,
    )

    if job.spec.norm == "linf":
        kind = _descent(LinfProjectedGradientDescentAttack)
    else:
        kind = _descent_l2(L2ProjectedGradientDescentAttack)
    start = job.start()
    attack = kind(
        abs_stepsize=job.spec.amount("step_size"),
        steps=job.spec.parameter("steps"),
        random_start=start is not None,
    )
    attack.start = start
    return _descended(job, attack)


def _mi_fgsm(job: Job) -> torch.Tensor:
    from foolbox.attacks.mi_fgsm import LinfMomentumIterativeFastGradientMethod

    attack = _momentum(LinfMomentumIterativeFastGradientMethod)(
        momentum=job.spec.amount("decay"),
        abs_stepsize=job.spec.amount("step_size"),
        steps=job.spec.parameter("steps"),
        random_start=False,
    )
    return _descended(job, attack)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("fgsm", "linf"): _fgsm,
    ("bim", "linf"): _bim,
    ("pgd", "linf"): restarted(_pgd),
    ("pgd", "l2"): restarted(_pgd),
    ("mi-fgsm", "linf"): _mi_fgsm,
}

"""Foolbox behind the canonical words, with what it does differently put right.

Attacks are started by their `run`, without the forward of Foolbox's own verdict. Gradient attacks
climb the mean loss, as the other toolkits do, instead of the sum: on networks whose gradients fall
below float32's resolution the two differ in sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.job import Job
from bench.spec import Norm


def prepare() -> None:
    """Import the toolkit, so that the import is not timed as part of an attack."""
    import foolbox  # noqa: F401


def _model(job: Job) -> Any:
    from foolbox.models.pytorch import PyTorchModel

    return PyTorchModel(job.probe, bounds=(0, 1), device=job.x.device)


def _criterion(job: Job) -> Any:
    from foolbox.criteria import Misclassification, TargetedMisclassification

    return (
        TargetedMisclassification(job.target)
        if job.target is not None
        else Misclassification(job.y)
    )


@cache
def _descent(base: type[Any]) -> type[Any]:
    """Return one of Foolbox's gradient attacks with the mean loss and a start that is given."""
    from eagerpy.astensor import astensor
    from eagerpy.framework import crossentropy

    class Descent(base):  # type: ignore[misc]
        start: torch.Tensor | None = None

        def get_loss_fn(self, model: Any, labels: Any) -> Callable[[Any], Any]:
            def loss_fn(inputs: Any) -> Any:
                return crossentropy(model(inputs), labels).mean()

            return loss_fn

        def get_random_start(self, x0: Any, epsilon: float) -> Any:
            return astensor(self.start)

    return Descent


@cache
def _descent_l2(base: type[Any]) -> type[Any]:
    """Return an l2 attack whose steps keep their length however small the mean loss's gradient."""
    from foolbox.devutils import atleast_kd, flatten

    class DescentL2(_descent(base)):  # type: ignore[misc]
        def normalize(self, gradients: Any, *, x: Any, bounds: Any) -> Any:
            norms = flatten(gradients).norms.l2(axis=-1).maximum(1e-30)
            return gradients / atleast_kd(norms, gradients.ndim)

    return DescentL2


@cache
def _momentum(base: type[Any]) -> type[Any]:
    """Return MI-FGSM as Dong et al. have it: Foolbox accumulates signs, the paper g / ||g||_1."""
    from foolbox.devutils import atleast_kd, flatten

    class Momentum(_descent(base)):  # type: ignore[misc]
        def normalize(self, gradients: Any, *, x: Any, bounds: Any) -> Any:
            means = flatten(gradients).abs().mean(axis=-1)
            # A zero gradient stays zero.
            return gradients / atleast_kd(means + (means == 0), gradients.ndim)

    return Momentum


def _fixed(job: Job, attack: Any) -> torch.Tensor:
    """Return the image of a fixed-budget attack, clipped to the budget: Foolbox's may exceed it."""
    found = attack.run(_model(job), job.x, _criterion(job), epsilon=job.eps)
    clipped: torch.Tensor = attack.distance.clip_perturbation(job.x, found, job.eps)
    return clipped


def _fgsm(job: Job) -> torch.Tensor:
    from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack

    return _fixed(job, _descent(LinfFastGradientAttack)(random_start=False))


def _bim(job: Job) -> torch.Tensor:
    from foolbox.attacks.basic_iterative_method import LinfBasicIterativeAttack

    spec = job.spec
    attack = _descent(LinfBasicIterativeAttack)(
        abs_stepsize=spec.amount("step_size"), steps=spec.word("steps"), random_start=False
    )
    return _fixed(job, attack)


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
        steps=job.spec.word("steps"),
        random_start=start is not None,
    )
    attack.start = start
    return _fixed(job, attack)


def _mi_fgsm(job: Job) -> torch.Tensor:
    from foolbox.attacks.mi_fgsm import LinfMomentumIterativeFastGradientMethod

    attack = _momentum(LinfMomentumIterativeFastGradientMethod)(
        momentum=job.spec.amount("decay"),
        abs_stepsize=job.spec.amount("step_size"),
        steps=job.spec.word("steps"),
        random_start=False,
    )
    return _fixed(job, attack)


def _deepfool(job: Job) -> torch.Tensor:
    from foolbox.attacks.deepfool import L2DeepFoolAttack, LinfDeepFoolAttack

    attack = (L2DeepFoolAttack if job.spec.norm == "l2" else LinfDeepFoolAttack)(
        steps=job.spec.word("steps"),
        candidates=job.spec.word("candidates"),
        overshoot=job.spec.amount("overshoot"),
    )
    found: torch.Tensor = attack.run(_model(job), job.x, _criterion(job))
    return found


def _clean_unless_found(job: Job, found: torch.Tensor) -> torch.Tensor:
    """Return images with the clean one where all is zero, which is how Foolbox says none found."""
    return torch.where((found == 0).flatten(1).all(1).view(-1, 1, 1, 1), job.x, found)


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
    return _clean_unless_found(job, attack.run(_model(job), job.inside(), _criterion(job)))


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
    return _clean_unless_found(job, attack.run(_model(job), job.x, _criterion(job)))


def _ddn(job: Job) -> torch.Tensor:
    from foolbox.attacks.ddn import DDNAttack

    attack = DDNAttack(
        init_epsilon=job.spec.amount("init_eps"),
        steps=job.spec.word("steps"),
        gamma=job.spec.amount("gamma"),
    )
    # Where it finds none it gives back the image itself.
    found: torch.Tensor = attack.run(_model(job), job.x, _criterion(job))
    return found


def _noise(job: Job) -> torch.Tensor:
    from foolbox.attacks.additive_noise import (
        L2AdditiveGaussianNoiseAttack,
        LinfAdditiveUniformNoiseAttack,
    )

    linf = job.spec.norm == "linf"
    return _fixed(
        job, (LinfAdditiveUniformNoiseAttack if linf else L2AdditiveGaussianNoiseAttack)()
    )


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("fgsm", "linf"): _fgsm,
    ("bim", "linf"): _bim,
    ("pgd", "linf"): _pgd,
    ("pgd", "l2"): _pgd,
    ("mi-fgsm", "linf"): _mi_fgsm,
    ("deepfool", "l2"): _deepfool,
    ("deepfool", "linf"): _deepfool,
    ("cw", "l2"): _cw,
    ("ddn", "l2"): _ddn,
    ("ead", "l1"): _ead,
    ("noise", "linf"): _noise,
    ("noise", "l2"): _noise,
}

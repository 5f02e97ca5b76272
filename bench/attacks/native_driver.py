"""Native attacks: those that the toolkits lack, or with parameters that no toolkit supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.job import Job, Perturbation
from bench.attacks.native.deepfool import DeepFool, deepfool
from bench.attacks.native.lbfgs import LBFGS, lbfgs
from bench.attacks.native.noise import noise
from bench.attacks.native.radius import fgsm_radius, ifgsm_radius
from bench.attacks.native.sparsefool import SparseFool, sparsefool
from bench.attacks.native.universal import Universal, universal
from bench.spec import Norm


def prepare() -> None:
    """Do nothing: there is no toolkit to import."""


def _noise(job: Job) -> torch.Tensor:
    return noise(job.x, job.spec.norm, job.eps, job.seed)


def _deepfool(job: Job) -> torch.Tensor:
    spec = job.spec
    result = deepfool(
        job.probe,
        job.x,
        job.y,
        DeepFool(
            norm="l2" if spec.norm == "l2" else "linf",
            steps=spec.parameter("steps"),
            overshoot=spec.amount("overshoot"),
            candidates=spec.parameter("candidates"),
        ),
    )
    job.probe.iterations = result.iterations
    return result.x_adv


def _sparsefool(job: Job) -> torch.Tensor:
    result = sparsefool(
        job.probe,
        job.x,
        job.y,
        SparseFool(
            lam=job.spec.amount("lambda"),
            steps=job.spec.parameter("steps"),
            overshoot=job.spec.amount("overshoot"),
            candidates=job.spec.parameter("candidates"),
            box=job.spec.amount("box"),
        ),
    )
    job.probe.iterations = result.iterations
    return result.x_adv


def _lbfgs(job: Job) -> torch.Tensor:
    result = lbfgs(
        job.probe,
        job.x,
        job.y,
        job.target,
        LBFGS(
            c=job.spec.amount("c"),
            steps=job.spec.parameter("steps"),
            search_steps=job.spec.parameter("search_steps"),
        ),
    )
    job.probe.iterations = result.iterations
    return result.x_adv


def _fgsm_radius(job: Job) -> torch.Tensor:
    job.probe.iterations = torch.ones_like(job.probe.forwards)
    return fgsm_radius(
        job.probe,
        job.x,
        job.y,
        max_eps=job.spec.amount("max_eps"),
        scan=job.spec.parameter("scan"),
    )


def _ifgsm_radius(job: Job) -> torch.Tensor:
    result = ifgsm_radius(
        job.probe,
        job.x,
        job.y,
        step_size=job.spec.amount("step_size"),
        steps=job.spec.parameter("steps"),
        project=job.spec.amount("project"),
    )
    job.probe.iterations = result.iterations
    return result.x_adv


def _universal(job: Job) -> Perturbation:
    spec = job.spec
    return universal(
        job.probe,
        job.x,
        job.y,
        Universal(
            norm="l2" if spec.norm == "l2" else "linf",
            xi=job.eps,
            delta=spec.amount("delta"),
            passes=spec.parameter("passes"),
            batch=spec.parameter("batch"),
            deepfool=DeepFool(
                norm="l2",
                steps=spec.parameter("steps"),
                overshoot=spec.amount("overshoot"),
                candidates=spec.parameter("candidates"),
                every_gradient=False,
            ),
        ),
        job.seed,
    )


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("noise", "linf"): _noise,
    ("noise", "l2"): _noise,
    ("deepfool", "l2"): _deepfool,
    ("deepfool", "linf"): _deepfool,
    ("l-bfgs", "l2"): _lbfgs,
    ("sparsefool", "l0"): _sparsefool,
    ("fgsm-radius", "linf"): _fgsm_radius,
    ("ifgsm-radius", "linf"): _ifgsm_radius,
}

FITS: Mapping[tuple[str, Norm], Callable[[Job], Perturbation]] = {
    ("universal", "linf"): _universal,
    ("universal", "l2"): _universal,
}

"""Native attacks: those that the toolkits lack, or with parameters that no toolkit supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch

from bench.attacks import autoattack, worst_case_fast
from bench.attacks.catalogue import parameter
from bench.attacks.in_turn import Member, in_turn
from bench.attacks.job import Job, Perturbation
from bench.attacks.members import read_members
from bench.attacks.native.adaptive import Adaptive, adaptive
from bench.attacks.native.apgd import APGD, apgd
from bench.attacks.native.ball import Ball
from bench.attacks.native.deepfool import DeepFool, deepfool
from bench.attacks.native.fab import FAB, fab_t
from bench.attacks.native.fgsm import FGSM, fgsm
from bench.attacks.native.lbfgs import LBFGS, lbfgs
from bench.attacks.native.noise import noise
from bench.attacks.native.one_pixel import OnePixel, one_pixel
from bench.attacks.native.radius import fgsm_radius, ifgsm_radius
from bench.attacks.native.result import NativeResult
from bench.attacks.native.sparsefool import SparseFool, sparsefool
from bench.attacks.native.square import Square, square
from bench.attacks.native.universal import Universal, universal
from bench.attacks.restarts import restarted
from bench.spec import Norm, number

#: The overshoot of the image returned by DeepFool that clips at the end, whatever its `overshoot`: so the
#: study of distances to the boundary (`fooling`) attacked.
_FINAL_OVERSHOOT = 0.01


def prepare() -> None:
    """Do nothing: there is no toolkit to import."""


def _given(job: Job, result: NativeResult) -> torch.Tensor:
    """Return the images of an attack, and record the rest of its result in the probe."""
    job.probe.iterations = result.iterations
    job.probe.unclipped = result.unclipped
    return result.x_adv


def _fgsm(job: Job) -> torch.Tensor:
    result = fgsm(
        job.probe,
        job.x,
        job.goal,
        FGSM(
            eps=job.eps,
            loss=parameter(job.spec, "loss"),
            targeted=job.target is not None,
            eot=job.spec.parameter("eot"),
        ),
    )
    return _given(job, result)


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
            clip=parameter(spec, "clip"),
            final_overshoot=_FINAL_OVERSHOOT,
        ),
    )
    return _given(job, result)


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
    return _given(job, result)


def _one_pixel(job: Job) -> torch.Tensor:
    stop = parameter(job.spec, "stop")
    result = one_pixel(
        job.probe,
        job.x,
        job.y,
        job.target,
        OnePixel(
            pixels=int(job.eps),
            population=job.spec.parameter("population"),
            generations=job.spec.parameter("generations"),
            stop=None if stop == "class" else number(stop, "stop"),
        ),
        job.seed,
    )
    job.probe.iterations, job.probe.trace = result.iterations, result.trace
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
    return _given(job, result)


def _adaptive(job: Job) -> torch.Tensor:
    return adaptive(
        job.probe,
        job.x,
        job.y,
        Adaptive(
            norm="l2" if job.spec.norm == "l2" else "linf",
            eps=job.eps,
            passes=job.spec.parameter("passes"),
        ),
        job.seed,
    )


def _ball(job: Job) -> Ball:
    return Ball("l2" if job.spec.norm == "l2" else "linf", job.eps)


def _apgd(job: Job) -> torch.Tensor:
    spec = job.spec
    parameters = APGD(
        ball=_ball(job),
        steps=spec.parameter("steps"),
        loss="ce" if spec.name == "apgd-ce" else "dlr",
        eot=spec.parameter("eot"),
        targets=spec.parameter("targets") if spec.name == "apgd-t" else 0,
    )
    return apgd(job.probe, job.x, job.y, parameters, job.seed)


def _fab_t(job: Job) -> torch.Tensor:
    spec = job.spec
    parameters = FAB(
        ball=_ball(job),
        steps=spec.parameter("steps"),
        restarts=spec.parameter("restarts"),
        alpha_max=spec.amount("alpha_max"),
        eta=spec.amount("eta"),
        beta=spec.amount("beta"),
        targets=spec.parameter("targets"),
    )
    return fab_t(job.probe, job.x, job.y, parameters, job.seed)


def _square(job: Job) -> torch.Tensor:
    parameters = Square(
        ball=_ball(job),
        queries=job.spec.parameter("queries"),
        p_init=job.spec.amount("p_init"),
    )
    return square(job.probe, job.x, job.y, parameters, job.seed)


def _autoattack(job: Job) -> torch.Tensor:
    return in_turn(job, autoattack.members(job.spec, "native"))


def _cascade(job: Job) -> torch.Tensor:
    asked = read_members(job.spec.parameter("members"), job.spec.norm, job.spec.eps)
    return in_turn(job, [Member(*member) for member in asked])


def _worst_case_fast(job: Job) -> torch.Tensor:
    job.probe.labels = job.y
    return in_turn(job, worst_case_fast.members(job.spec, job.probe))


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
    return _given(job, result)


def _universal(job: Job) -> Perturbation:
    spec = job.spec
    norm: Literal["l2", "linf"] = "l2" if spec.norm == "l2" else "linf"
    inner, clip = parameter(spec, "inner"), parameter(spec, "clip")
    return universal(
        job.probe,
        job.x,
        job.y,
        Universal(
            norm=norm,
            xi=job.eps,
            delta=spec.amount("delta"),
            passes=spec.parameter("passes"),
            batch=spec.parameter("batch"),
            deepfool=DeepFool(
                norm="l2" if inner == "l2" else norm,
                steps=spec.parameter("steps"),
                overshoot=spec.amount("overshoot"),
                candidates=spec.parameter("candidates"),
                every_gradient=inner == "ball" and norm == "linf",
                clip="steps" if clip else "end",
            ),
            clip=clip,
            keep=parameter(spec, "keep"),
        ),
        job.seed,
    )


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("fgsm", "linf"): _fgsm,
    ("apgd-ce", "linf"): restarted(_apgd),
    ("apgd-ce", "l2"): restarted(_apgd),
    ("apgd-dlr", "linf"): restarted(_apgd),
    ("apgd-dlr", "l2"): restarted(_apgd),
    ("apgd-t", "linf"): restarted(_apgd),
    ("apgd-t", "l2"): restarted(_apgd),
    ("fab-t", "linf"): _fab_t,
    ("fab-t", "l2"): _fab_t,
    ("square", "linf"): restarted(_square),
    ("square", "l2"): restarted(_square),
    ("autoattack", "linf"): _autoattack,
    ("autoattack", "l2"): _autoattack,
    ("cascade", "linf"): _cascade,
    ("cascade", "l2"): _cascade,
    ("worst-case-fast", "linf"): _worst_case_fast,
    ("worst-case-fast", "l2"): _worst_case_fast,
    ("adaptive", "linf"): _adaptive,
    ("adaptive", "l2"): _adaptive,
    ("noise", "linf"): _noise,
    ("noise", "l2"): _noise,
    ("noise", "l1"): _noise,
    ("noise", "l0"): _noise,
    ("deepfool", "l2"): _deepfool,
    ("deepfool", "linf"): _deepfool,
    ("l-bfgs", "l2"): _lbfgs,
    ("sparsefool", "l0"): _sparsefool,
    ("one-pixel", "l0"): _one_pixel,
    ("fgsm-radius", "linf"): _fgsm_radius,
    ("ifgsm-radius", "linf"): _ifgsm_radius,
}

FITS: Mapping[tuple[str, Norm], Callable[[Job], Perturbation]] = {
    ("universal", "linf"): _universal,
    ("universal", "l2"): _universal,
}

"""Runs an attack of any toolkit; all attacks go through here."""

from __future__ import annotations

import importlib
import time
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.attacks import catalogue
from bench.attacks.instrument import Probe, attacked
from bench.attacks.job import Batch, Job, Perturbation
from bench.attacks.needs import unmet
from bench.attacks.toolkits import shortfall
from bench.errors import AttackError, BenchError, PrerequisiteError, SpecError, UnsupportedAttack
from bench.spec import PLUGIN, AttackSpec, Toolkit

_RANGE_SLACK = 1e-6

#: Why an attack had nothing to guide it on an image.
NO_GRADIENT = "no gradient"
CONSTANT = "constant scores"
NOTHING = "no gradient and constant scores"
NO_START = "no image of another class to begin at"
UNMOVED = "unmoved"

#: Batch size for predicting the images to fit on.
_LOOK = 100


class AttackResult(NamedTuple):
    """The images an attack returned; whether they fool the model is decided by the judge.

    Attributes:
        x_adv: the images tried, float32 (N, C, H, W) on the device of `x`; the clean image if the
            toolkit reported that it found none.
        forwards: int64 (N,), forward passes for each row, on the CPU.
        backwards: int64 (N,), gradients for each row, on the CPU.
        iterations: int64 (N,), steps of a fixed-budget attack, or those counted by the attack itself;
            None if neither is known, as for attacks that restart on failure.
        seconds: wall time of the attack alone, without importing the toolkit.
        ineffective: for each image, why the attack had nothing to guide it, or None.
        unclipped: the images before a last clip to [0, 1], float32 (N, C, H, W); None if the attack does
            not return them.
        trace: float32 (N, most steps + 1), how near the goal each image was at first and after each
            step, NaN after its last; None for attacks that keep none.
        broken_by: for each image, the attack that broke it, of several that are made in turn, or None;
            None for an attack by itself.
    """

    x_adv: torch.Tensor
    forwards: torch.Tensor
    backwards: torch.Tensor
    iterations: torch.Tensor | None
    seconds: float
    ineffective: list[str | None] | None = None
    unclipped: torch.Tensor | None = None
    trace: torch.Tensor | None = None
    broken_by: list[str | None] | None = None


class Fitted(NamedTuple):
    """A universal perturbation, and the cost of fitting it.

    Attributes:
        v: float32 (C, H, W).
        images: how many images it was fitted on, those the model gets right.
        passes: passes over these images.
        fooling: the share of them that v takes to another class, clipped to [0, 1].
        forwards: total forward passes.
        backwards: total gradients.
        seconds: wall time of the fit alone, without importing the toolkit.
    """

    v: torch.Tensor
    images: int
    passes: int
    fooling: float
    forwards: int
    backwards: int
    seconds: float


def run_attack(
    spec: AttackSpec,
    toolkit: Toolkit,
    model: nn.Module,
    batch: Batch,
    num_classes: int,
    seed: int,
) -> AttackResult:
    """Attack a batch with one toolkit; the model and all global state stay unchanged.

    Args:
        spec: from `catalogue.resolve`.
        toolkit: the library that runs it.
        model: images in [0, 1] to logits, on the device of the images; it needs no gradient if the
            attack takes none.
        batch: the images, their labels and the target classes.
        num_classes: the number of logits.
        seed: of all random draws; the same seed gives the same images.

    Raises:
        UnsupportedAttack: the toolkit does not have the attack or does not support a parameter.
        PrerequisiteError: the toolkit is not installed.
        SpecError: images outside [0, 1], or targets for an untargeted attack.
        AttackError: the toolkit failed, or memory ran out.
    """
    if catalogue.is_fitted(spec.name):
        raise SpecError(f"{spec.name} is fitted on other images first; give them as `fit`")
    x, y, target = batch
    _check_request(spec, toolkit, target, _shape(x), num_classes)
    images = _checked(x)
    driver = _driver(toolkit)
    try:
        driver.prepare()
        warm = getattr(driver, "WARM", {}).get((spec.name, spec.norm))
        if warm is not None:
            warm()
        with attacked(model, images, seed) as probe:
            if spec.norm == "linf" and spec.radius is not None:
                probe.radius = spec.radius
            probe.watch_scores = catalogue.access(spec.name) == "score"
            job = Job(
                spec=spec,
                probe=probe,
                x=images.clone(),
                y=y.clone(),
                target=None if target is None else target.clone(),
                num_classes=num_classes,
                seed=seed,
            )
            x_adv, seconds = _timed(driver.ATTACKS[spec.name, spec.norm], job)
    except BenchError:
        raise
    except Exception as error:
        raise _wrapped(error, spec, toolkit, len(x)) from error
    taken = (
        _iterations(spec, toolkit, len(x)) if probe.iterations is None else probe.iterations.cpu()
    )
    why = _ineffective(spec, probe, _unmoved(images, x_adv))
    return AttackResult(
        x_adv, probe.forwards.cpu(), probe.backwards.cpu(), taken, seconds, why, probe.unclipped,
        probe.trace, probe.broken_by,
    )  # fmt: skip


def _driver(toolkit: Toolkit) -> Any:
    """Return the module that runs the attacks of a toolkit."""
    return importlib.import_module(f"bench.attacks.{toolkit.replace('-', '_')}_driver")


def _unmoved(x: torch.Tensor, x_adv: torch.Tensor) -> torch.Tensor:
    """Return which images came back unchanged, bool (N,)."""
    if x_adv.shape != x.shape:
        return torch.zeros(len(x), dtype=torch.bool)
    return (x_adv == x).flatten(1).all(1).cpu()


def _ineffective(spec: AttackSpec, probe: Probe, unmoved: torch.Tensor) -> list[str | None]:
    """Return for each image why an attack had nothing to guide it, or None.

    An attack has nothing to go by if all gradients are zero or NaN (gradient attacks), if all scores are
    the same (score-based attacks), in both cases (attacks that see the whole model), or if it found no start
    (decision-based attacks). An unchanged image alone shows nothing of that: APGD, Square, FAB and others return the clean image if they tried and
    found nothing.
    """
    access = catalogue.access(spec.name)
    if access == "white":
        useful, why = probe.guided | probe.answered, NO_GRADIENT
    elif access == "score":
        useful, why = probe.answered, CONSTANT
    elif access == "whole":
        useful, why = probe.guided | probe.answered, NOTHING
    else:
        useful, why = ~unmoved, NO_START
    return [None if was_useful else why for was_useful in useful.tolist()]


def fit(
    spec: AttackSpec,
    toolkit: Toolkit,
    model: nn.Module,
    batch: Batch,
    num_classes: int,
    seed: int,
) -> Fitted:
    """Fit one perturbation on images with a toolkit; the model and all global state stay unchanged.

    Images that the model gets wrong are left out, so that the clean prediction of the others is their
    label.

    Args:
        spec: of a fitted attack, from `catalogue.resolve`.
        toolkit: the library that runs it.
        model: images in [0, 1] to logits, on the device of the images.
        batch: the images to fit on and their labels, without target classes.
        num_classes: the number of logits.
        seed: of all random draws; the same seed gives the same perturbation.

    Raises:
        UnsupportedAttack: the toolkit does not have the attack or does not support a parameter.
        PrerequisiteError: the toolkit is not installed.
        SpecError: images outside [0, 1], or none that the model gets right.
        AttackError: the toolkit failed, or memory ran out.
    """
    x, y, target = batch
    _check_request(spec, toolkit, target, _shape(x), num_classes)
    images = _checked(x)
    right = _right(model, images, y)
    images, labels = images[right], y[right]
    if not len(images):
        raise SpecError(f"{spec.name}: the model gets none of the {len(x)} images right to fit on")
    driver = _driver(toolkit)
    try:
        driver.prepare()
        with attacked(model, images, seed) as probe:
            job = Job(
                spec=spec,
                probe=probe,
                x=images,
                y=labels,
                target=None,
                num_classes=num_classes,
                seed=seed,
            )
            began = time.perf_counter()
            perturbation: Perturbation = driver.FITS[spec.name, spec.norm](job)
            seconds = time.perf_counter() - began
    except BenchError:
        raise
    except Exception as error:
        raise _wrapped(error, spec, toolkit, spec.parameter("batch"), "batch") from error
    passes = int(probe.forwards.sum()), int(probe.backwards.sum())
    return Fitted(
        perturbation.v.detach().float().contiguous(),
        len(images), perturbation.passes, perturbation.fooling, *passes, seconds,
    )  # fmt: skip


def apply(v: torch.Tensor, x: torch.Tensor, *, keep_unclipped: bool = False) -> AttackResult:
    """Return clip(x + v, 0, 1), without any pass through a model.

    Args:
        v: float32 (C, H, W).
        x: images, float32 (N, C, H, W) in [0, 1].
        keep_unclipped: whether x + v is returned too.
    """
    began = time.perf_counter()
    unclipped = x + v.to(x)
    x_adv = unclipped.clamp(0, 1)
    seconds = time.perf_counter() - began
    none = torch.zeros(len(x), dtype=torch.int64)
    why = [UNMOVED if unmoved else None for unmoved in _unmoved(x, x_adv).tolist()]
    return AttackResult(
        x_adv, none, none.clone(), None, seconds, why, unclipped if keep_unclipped else None
    )


def _right(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return which images a model gets right, bool (N,)."""
    with attacked(model, x[:0], 0) as probe, torch.no_grad(), probe.playing([]):
        parts = zip(torch.split(x, _LOOK), torch.split(y, _LOOK), strict=True)
        return torch.cat([probe(part).argmax(1) == labels for part, labels in parts])


def _check_request(
    spec: AttackSpec,
    toolkit: Toolkit,
    target: torch.Tensor | None,
    shape: tuple[int, int, int],
    num_classes: int,
) -> None:
    reason = catalogue.refusal(spec, toolkit) or unmet(spec, toolkit, shape, num_classes)
    if reason is not None:
        raise UnsupportedAttack(reason)
    lacking = shortfall(catalogue.row_of(spec.name), toolkit)
    if lacking is not None:
        raise PrerequisiteError(lacking)
    if (target is not None) != (spec.targeted != "none"):
        wanted = "needs target classes" if target is None else "takes no target classes"
        raise SpecError(f"{spec.title()} with targeted={spec.targeted} {wanted}")


def _shape(x: torch.Tensor) -> tuple[int, int, int]:
    channels, height, width = x.shape[1:]
    return channels, height, width


def _checked(x: torch.Tensor) -> torch.Tensor:
    """Return a copy of images clipped to [0, 1]; Foolbox asserts the bounds exactly and without a message."""
    low, high = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
    if not (low >= -_RANGE_SLACK and high <= 1 + _RANGE_SLACK):
        raise SpecError(
            f"images must lie in [0, 1]; these span {low:.4g} to {high:.4g}: normalise in the model"
        )
    # Toolkits flatten images by `view`, which other memory formats do not allow.
    return x.detach().clamp(0, 1).contiguous()


def _timed(attack: Any, job: Job) -> tuple[torch.Tensor, float]:
    """Return the images of an attack and its wall time in seconds."""
    if not len(job.x):
        return job.x, 0.0
    began = time.perf_counter()
    x_adv: torch.Tensor = attack(job)
    if x_adv.is_cuda:
        torch.cuda.synchronize(x_adv.device)
    return x_adv.detach().float().contiguous(), time.perf_counter() - began


def _iterations(spec: AttackSpec, toolkit: Toolkit, count: int) -> torch.Tensor | None:
    parameters = dict(spec.parameters)
    if (
        (toolkit == PLUGIN and "steps" not in parameters)
        or catalogue.is_minimal(spec.name)
        or catalogue.access(spec.name) == "whole"
        or parameters.get("restarts", 1) != 1
        or "queries" in parameters
        or "members" in parameters
    ):
        return None
    without_steps = int(catalogue.access(spec.name) == "white")
    return torch.full((count,), int(parameters.get("steps", without_steps)), dtype=torch.int64)


def _wrapped(
    error: Exception, spec: AttackSpec, toolkit: str, count: int, parameter: str = "--batch-size"
) -> AttackError:
    text = " ".join(str(error).split())
    out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if out_of_memory or "can't allocate memory" in text:
        return AttackError(
            f"{toolkit} {spec.name}: out of memory with {count} images at a time; "
            f"use a smaller {parameter}"
        )
    return AttackError(f"{toolkit} {spec.name}: {type(error).__name__}: {text}")

"""Whether a model keeps the contract that attacks rely on, said in words."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from torch import nn

from bench.adapters.generators import device_of
from bench.adapters.outputs import looks_like_probabilities
from bench.adapters.random import VOTES
from bench.adapters.smoothed import MeanOfDraws
from bench.data.datasets import load
from bench.data.table import DATASETS
from bench.spec import Adapter, Loss, Prediction
from bench.train.cards import read_card, weights_folder
from bench.trust.behaviour import IMAGES, Behaviour, judged
from bench.trust.gradients import Agreement, agreement
from bench.trust.watch import Watch, gap, one_line

_IMAGES = 200

#: Images on which gradients are compared; a random surface answers each twenty times.
_COMPARED, _COMPARED_RANDOM = 32, 8

#: The share of images with a dead or wrong gradient from which on it is no exception.
_FEW = 0.1

Verdict = Literal["pass", "warn", "fail"]


class Finding(NamedTuple):
    """What one check found."""

    check: str
    verdict: Verdict
    words: str


def validate_model(
    adapter: Adapter, data: str, root: str | os.PathLike[str] | None = None
) -> list[Finding]:
    """Return a finding for each thing an attack relies on.

    Args:
        adapter: the model.
        data: the data set it is registered for; its first 200 test images are used.
        root: the data folder.

    Raises:
        PrerequisiteError: the data set is missing.
    """
    shape = _shape(adapter, data)
    if shape.verdict == "fail":
        return [shape]
    part = load(data, "test", root).first(_IMAGES)
    device = device_of(adapter)
    x, y = part.images.to(device), part.labels.to(device)
    model, seen = judged(adapter, x[:IMAGES])
    if seen.fails:
        return [shape, Finding("answers", "fail", seen.notes()[0])]
    said = model.predict(x.clone())
    return [
        shape,
        _scores(model, said, len(x)),
        _eval_mode(adapter, seen, x[:IMAGES]),
        *_behaviour(seen),
        _accuracy(model, said, y),
        *_surfaces(model, seen, x, y),
    ]


def _shape(adapter: Adapter, data: str) -> Finding:
    known = DATASETS[data]
    spec = adapter.spec
    if tuple(spec.input_shape) != known.input_shape:
        words = f"takes {tuple(spec.input_shape)}, {data} has {known.input_shape}"
        return Finding("images", "fail", words)
    if spec.num_classes != len(known.classes):
        words = f"has {spec.num_classes} classes, {data} has {len(known.classes)}"
        return Finding("images", "fail", words)
    return Finding(
        "images", "pass", f"takes {data}: {known.input_shape}, {spec.num_classes} classes"
    )


def _scores(adapter: Adapter, prediction: Prediction, n: int) -> Finding:
    want = (n, adapter.spec.num_classes)
    if tuple(prediction.scores.shape) != want or tuple(prediction.labels.shape) != (n,):
        got = f"{tuple(prediction.scores.shape)} and {tuple(prediction.labels.shape)}"
        return Finding("scores", "fail", f"scores and labels have shapes {got}, not {want}")
    if not prediction.scores.isfinite().all():
        return Finding("scores", "fail", "scores are not finite")
    if looks_like_probabilities(prediction.scores):
        if adapter.spec.scores == "logits":
            words = "scores are probabilities; attacks need logits: leave out the final softmax"
            return Finding("scores", "fail", words)
        return Finding("scores", "pass", "finite probabilities")
    low, high = float(prediction.scores.min()), float(prediction.scores.max())
    return Finding("scores", "pass", f"finite, from {low:.3g} to {high:.3g}")


def _eval_mode(adapter: Adapter, seen: Behaviour, x: torch.Tensor) -> Finding:
    """Put every part in training mode and see whether a decision still is made in eval mode."""
    check = "eval mode"
    if seen.training:
        kinds = " and ".join(seen.training)
        return Finding(check, "fail", f"{kinds} in training mode in predict: call eval()")
    watch = Watch(adapter)
    calm = watch.ask(x)
    modes = [(part, part.training) for part in watch.modules]
    try:
        for part in watch.modules:
            part.training = True
        stirred = watch.ask(x)
        left = [part.training for part in watch.modules]
    except Exception as error:
        return Finding(
            check, "fail", f"predict fails in training mode; call eval() in it: {one_line(error)}"
        )
    finally:
        for part, mode in modes:
            part.training = mode
        watch.put_back()
    if watch.training:
        kinds = " and ".join(watch.training)
        return Finding(check, "fail", f"predict leaves {kinds} in training mode; call eval() in it")
    if not seen.random and gap(calm, stirred) > 1e-4:
        return Finding(check, "fail", "predict depends on training mode; call eval() in it")
    if not all(left):
        return Finding(check, "warn", "predict leaves the model in eval mode")
    return Finding(check, "pass", "predict decides in eval mode and puts the mode back")


def _behaviour(seen: Behaviour) -> Iterator[Finding]:
    """Yield what was observed, each cause in a line of its own."""
    yield _determinism(seen)
    yield _batch(seen)
    if seen.writes_input:
        words = "predict writes into the images it is given: let it work on a copy"
        yield Finding("images kept", "fail", words)
    else:
        yield Finding("images kept", "pass", "predict leaves the images it is given as they are")
    if seen.changes_state:
        verdict: Verdict = "fail" if seen.remembers or seen.training else "warn"
        yield Finding("buffers", verdict, seen.buffers())
    else:
        yield Finding("buffers", "pass", "predict leaves the model's buffers as they are")


def _determinism(seen: Behaviour) -> Finding:
    check = "determinism"
    if not seen.random:
        return Finding(check, "pass", "the same answers when asked again")
    if seen.remembers:
        return Finding(check, "fail", "answers change from call to call, with the model's buffers")
    if not seen.seeded:
        words = "it is random, and its draws cannot be seeded: draw from torch's global generator"
        return Finding(check, "fail", words)
    if not seen.drawn:
        return Finding(
            check, "fail", f"it is random, and cannot be judged by draws: {seen.refuses}"
        )
    return Finding(check, "warn", f"random: judged by {VOTES} draws")


def _batch(seen: Behaviour) -> Finding:
    check = "batch size"
    if seen.batch_dependent:
        return Finding(check, "fail", seen.dependence())
    if seen.refuses:
        return Finding(check, "fail", seen.refuses)
    if seen.batch_dependent is None:
        return Finding(check, "warn", "not known: draws that cannot be seeded differ in any batch")
    return Finding(check, "pass", "the same scores beside other images, in other batches")


def _accuracy(adapter: Adapter, prediction: Prediction, y: torch.Tensor) -> Finding:
    n = len(y)
    accuracy = int((prediction.labels == y).sum()) / n
    words = f"{accuracy:.1%} of the first {n} test images"
    name = adapter.spec.name
    folder = weights_folder(name)
    card = read_card(folder, name) if folder else None
    declared = card["clean_accuracy"] if card else None
    if declared is not None:
        slack = 3 * math.sqrt(declared * (1 - declared) / n)
        words += f"; its card says {declared:.1%}"
        return Finding(
            "clean accuracy", "pass" if abs(accuracy - declared) <= slack else "fail", words
        )
    chance = 1 / adapter.spec.num_classes
    if accuracy <= chance + 3 * math.sqrt(chance * (1 - chance) / n):
        words += f", no better than chance ({chance:.1%}): check normalisation and label order"
        return Finding("clean accuracy", "fail", words)
    return Finding("clean accuracy", "pass", words)


def _surfaces(
    adapter: Adapter, seen: Behaviour, x: torch.Tensor, y: torch.Tensor
) -> Iterator[Finding]:
    surfaces = adapter.surfaces()
    if not surfaces:
        yield Finding("gradient", "warn", "none: only black-box attacks can be run on this model")
    for name, module in surfaces.items():
        yield Finding(f"gradient of {name}", *_gradient(adapter, name, module, seen, x, y))


def _gradient(
    adapter: Adapter,
    name: str,
    module: nn.Module,
    seen: Behaviour,
    x: torch.Tensor,
    y: torch.Tensor,
) -> tuple[Verdict, str]:
    nothing = "finite differences say nothing"
    if isinstance(module, MeanOfDraws) and module.noise is not None:
        return "warn", f"its noise is drawn anew at each image; {nothing}"
    if seen.random and not seen.seeded:
        return "warn", f"its draws cannot be seeded; {nothing}"
    if seen.batch_dependent:
        return "warn", f"that of an image's loss moves other images' losses too; {nothing}"
    count = min(len(x), _COMPARED_RANDOM if seen.random else _COMPARED)
    try:
        found = agreement(adapter, name, x[:count], y[:count], drawn=seen.random)
    except Exception as error:  # a surface is anybody's code
        return "fail", f"cannot be taken: {one_line(error)}"
    return _of_gradient(found, count)


def _of_gradient(found: Mapping[Loss, Agreement], n: int) -> tuple[Verdict, str]:
    """Return the verdict on the gradients of a surface at n images."""
    named = {"margin": "the margin", "ce": "the cross-entropy"}
    if all(one.dead == n for one in found.values()):
        return "fail", "zero everywhere: nothing for an attack to climb"
    for loss, one in found.items():
        if one.broken:
            return "fail", f"that of {named[loss]} is not finite on {one.broken} of {n} images"
        if one.dead > _FEW * n:
            words = f"that of {named[loss]} is zero on {one.dead} of {n} images"
            hint = ": logits too large?" if loss == "ce" else ""
            return "fail", f"{words}, nothing for an attack to climb{hint}"
    for loss, one in found.items():
        if one.wrong > _FEW * one.measured:
            words = f"that of {named[loss]} differs from finite differences by {one.error:.1%}"
            return "fail", f"{words} (median): it does not say where the loss rises"
    if not any(one.measured for one in found.values()):
        return "warn", "scores are rounded too coarsely for finite differences"
    error = max(one.error for one in found.values() if one.measured)
    words = f"median error against finite differences {error:.1%}"
    dead = max(one.dead for one in found.values())
    wrong = max(one.wrong for one in found.values())
    if dead:
        words += f"; zero on {dead} of {n} images"
    if wrong:
        words += f"; wrong on {wrong} of {n}"
    return ("warn" if dead or wrong else "pass"), words

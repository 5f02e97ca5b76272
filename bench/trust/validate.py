"""Whether a model keeps the contract that attacks rely on, said in words."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import nn

from bench.adapters.losses import per_image_loss
from bench.adapters.network import looks_like_probabilities
from bench.adapters.smoothed import MeanOfDraws
from bench.data.datasets import load
from bench.data.table import DATASETS
from bench.spec import Adapter
from bench.train.cards import read_card, weights_folder

_IMAGES = 200
_DIRECTIONS = 8
_STEP = 1e-2


class Finding(NamedTuple):
    """What one check found."""

    check: str
    verdict: Literal["pass", "warn", "fail"]
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
    x, y = part.images, part.labels
    device = next(
        (p.device for net in adapter.surfaces().values() for p in net.parameters()), x.device
    )
    x, y = x.to(device), y.to(device)
    checks: list[Callable[[Adapter, torch.Tensor, torch.Tensor], Finding]] = [
        _scores,
        _eval_mode,
        _determinism,
        _batch_size,
        _accuracy,
    ]
    return [shape, *(check(adapter, x, y) for check in checks), *_surfaces(adapter, x, y)]


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


def _scores(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> Finding:
    prediction = adapter.predict(x)
    want = (len(x), adapter.spec.num_classes)
    if tuple(prediction.scores.shape) != want or tuple(prediction.labels.shape) != (len(x),):
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


def _eval_mode(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> Finding:
    """Put every part in training mode and see whether a decision still is made in eval mode."""
    parts = [part for net in adapter.surfaces().values() for part in net.modules()]
    modes = [part.training for part in parts]
    before = [buffer.clone() for net in adapter.surfaces().values() for buffer in net.buffers()]
    calm = adapter.predict(x).scores
    try:
        for part in parts:
            part.training = True
        stirred = adapter.predict(x).scores
        left = [part.training for part in parts]
    finally:
        for part, mode in zip(parts, modes, strict=True):
            part.training = mode
    after = [buffer for net in adapter.surfaces().values() for buffer in net.buffers()]
    if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
        return Finding("eval mode", "fail", "predict changes the model's buffers (batch norm?)")
    if not torch.allclose(calm, stirred, atol=1e-5):
        return Finding("eval mode", "fail", "predict depends on training mode; call eval() in it")
    if not all(left):
        return Finding("eval mode", "warn", "predict leaves the model in eval mode")
    return Finding("eval mode", "pass", "predict decides in eval mode and puts the mode back")


def _determinism(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> Finding:
    first = adapter.predict(x)
    worst, flips = 0.0, 0
    for _ in range(4):
        again = adapter.predict(x)
        worst = max(worst, _distance(first.scores, again.scores))
        flips = max(flips, int((first.labels != again.labels).sum()))
    if flips or worst > 1e-4:
        words = f"five calls differ: {flips} labels flip, scores by {worst:.2g}; it is random"
        return Finding("determinism", "fail", words)
    return Finding("determinism", "pass", "five calls agree")


def _batch_size(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> Finding:
    whole = adapter.predict(x).scores
    for size in (1, 7, 64):
        count = min(len(x), 4 * size)
        parts = torch.cat([adapter.predict(part).scores for part in torch.split(x[:count], size)])
        gap = _distance(whole[:count], parts)
        if gap > 1e-4:
            words = f"at batch size {size} scores differ by {gap:.2g}: images see each other"
            return Finding("batch size", "fail", words)
    return Finding("batch size", "pass", "the same scores at batch sizes 1, 7 and 64")


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the largest relative l2 difference of two rows of scores."""
    return float(((a - b).norm(dim=1) / a.norm(dim=1).clamp(min=1)).max())


def _accuracy(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> Finding:
    hits = int((adapter.predict(x).labels == y).sum())
    accuracy, n = hits / len(x), len(x)
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


def _surfaces(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> Iterator[Finding]:
    surfaces = adapter.surfaces()
    if not surfaces:
        yield Finding("gradient", "warn", "none: only black-box attacks can be run on this model")
    for name, module in surfaces.items():
        yield _gradient(adapter, name, module, x[:32], y[:32])


def _gradient(
    adapter: Adapter, name: str, module: nn.Module, x: torch.Tensor, y: torch.Tensor
) -> Finding:
    """Compare the gradient with central differences along random directions, in float64."""
    check = f"gradient of {name}"
    gradient = adapter.gradient(x, y, "margin", name).double()
    dead = int((gradient.flatten(1).abs().amax(1) == 0).sum())
    if dead == len(x):
        return Finding(check, "fail", "zero everywhere: nothing for an attack to climb")
    if isinstance(module, MeanOfDraws):
        words = "its noise is drawn anew at each image; finite differences say nothing"
        return Finding(check, "warn", words)
    generator = torch.Generator().manual_seed(0)
    errors = []
    for _ in range(_DIRECTIONS):
        step = torch.randn(x.shape, generator=generator).to(x.device)
        step *= _STEP / step.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        rise = _losses(adapter, name, x + step, y) - _losses(adapter, name, x - step, y)
        expected = 2 * (gradient * step.double()).flatten(1).sum(1)
        errors.append((rise - expected).abs() / expected.abs().clamp(min=1e-6))
    error = float(torch.stack(errors).median())
    words = f"median error against finite differences {error:.1%}"
    if dead:
        words += f"; zero on {dead} of {len(x)} images"
    if error > 0.1:
        return Finding(check, "fail", f"{words}: it does not say where the loss rises")
    return Finding(check, "warn" if dead else "pass", words)


def _losses(adapter: Adapter, name: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    from bench.adapters.network import eval_mode

    module = adapter.surfaces()[name]
    with eval_mode(module), torch.no_grad():
        return per_image_loss(module(x).double(), y, "margin")

"""What the meta-learner of a stacked ensemble is fitted on: probabilities of its members.

By default these are of images that no member was trained on: the validation split of a data set that has one,
else the second half of its test split, which no suite may attack then. With `folds`, each training image is
predicted by members that were trained on the other folds (Wolpert, 1992). With `leak`, by the members
themselves, which were trained on it, so that the meta-learner trusts whoever learnt the images by heart.

Probabilities are kept in the cache, a safetensors file for each member and set of images. The meta-learner is
fitted to them again whenever the ensemble is loaded, so no estimator is ever stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from bench.adapters.abilities import Remembers
from bench.adapters.ensemble import answers, joined
from bench.adapters.generators import device_of
from bench.adapters.meta_learner import MetaLearner, fitted, unfitted
from bench.adapters.passes import images_at_once
from bench.data.datasets import load
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.errors import AdapterError, SpecError
from bench.paths import cache_dir
from bench.spec import Adapter, ImageSet, ModelName, ModelRequest
from bench.store.files import atomic_write
from bench.train.cards import Weights
from bench.train.ensembles import MetaFit
from bench.train.families import family_named
from bench.train.recipes import RECIPES, recipe_named
from bench.train.trainer import train
from bench.train.weights import written


class FittedMeta(NamedTuple):
    """A fitted meta-learner.

    Attributes:
        notes: what it was fitted on, for the log of a run.
        attackable: the images of that split that a suite may attack; None for all.
    """

    meta: MetaLearner
    notes: dict[str, Any]
    attackable: ImageSet | None


class _FitImages(NamedTuple):
    """The images that a meta-learner is fitted on; `words` say which they are."""

    images: LabelledImages
    words: str
    attackable: ImageSet | None = None


def fit_meta(
    name: str,
    members: Mapping[ModelRequest, Adapter],
    rules: MetaFit,
    root: Path | None,
    quickly: bool,
) -> FittedMeta | None:
    """Return the meta-learner of an ensemble.

    Args:
        name: of the ensemble.
        members: its members, loaded.
        rules: how it is fitted.
        root: the data folder.
        quickly: whether to return None where a member's probabilities are not in the cache.

    Raises:
        SpecError: the data set has no such images.
        AdapterError: a member cannot be trained on a part of the training images.
    """
    data = ModelName.read(name).data
    found = _fit_images(name, data, rules, root)
    rows = []
    for request, member in members.items():
        if rules.folds:
            predicted = _by_folds(request, member, found.images, rules.folds, quickly)
        else:
            predicted = _predicted(member, found.images, quickly)
        if predicted is None:
            return None
        rows.append(predicted)
    classes = len(DATASETS[data].classes)
    meta = fitted(unfitted(rules.meta), joined(torch.stack(rows)), found.images.labels, classes)
    notes = {"fitted_on": found.words, "fit_images": len(found.images), "leak": rules.leak}
    return FittedMeta(meta, notes, found.attackable)


def _fit_images(name: str, data: str, rules: MetaFit, root: Path | None) -> _FitImages:
    """Return the images that a meta-learner is fitted on."""
    splits = DATASETS[data].splits
    if rules.leak or rules.folds:
        if "train" not in splits:
            raise SpecError(f"{name}: {data} has no training images; leave leak and folds out")
        by = f"{rules.folds} folds of the" if rules.folds else "the members' own"
        return _FitImages(load(data, "train", root), f"{by} training images")
    if "validation" in splits:
        none = ImageSet(data=data, split="validation", count=0)
        return _FitImages(load(data, "validation", root), "the validation images", none)
    test = load(data, "test", root)
    half = len(test) // 2
    held_out = LabelledImages(test.pixels(slice(half, None)), test.labels[half:], test.top)
    free = ImageSet(data=data, split="test", count=half)
    return _FitImages(held_out, "the second half of the test images", free)


def _predicted(member: Adapter, images: LabelledImages, quickly: bool) -> torch.Tensor | None:
    """Return a member's probabilities of images (N, C), on the CPU."""
    path = _path(f"{member.fingerprint()} {images.checksum()}")
    kept = _kept(path, len(images))
    if kept is not None or quickly:
        return kept
    return _saved(path, _asked(member, images))


def _asked(member: Adapter, images: LabelledImages) -> torch.Tensor:
    device, parts = device_of(member), []
    for rows in torch.split(torch.arange(len(images)), images_at_once(images.shape())):
        x = images.batch(rows)
        parts.append(answers([member], x.to(device))[1][0].cpu())
    return torch.cat(parts)


def _by_folds(
    request: ModelRequest, member: Adapter, images: LabelledImages, folds: int, quickly: bool
) -> torch.Tensor | None:
    """Return probabilities (N, C) of training images, each by a member trained on the other folds."""
    from sklearn.model_selection import StratifiedKFold

    rules = RECIPES.get(request.name) or recipe_named(request.name)
    if rules is None or isinstance(member, Remembers):
        raise AdapterError(
            f"{request.title()} cannot be trained on some folds of its images: it has no recipe, or stores "
            "its images; leave folds out"
        )
    text = json.dumps(rules.written(), sort_keys=True)
    path = _path(f"{text} {images.checksum()} {folds}")
    kept = _kept(path, len(images))
    if kept is not None or quickly:
        return kept
    family = family_named(rules.family)
    splits = StratifiedKFold(folds, shuffle=True, random_state=0)
    probabilities = torch.zeros(len(images), len(DATASETS[rules.data].classes))
    for others, fold in splits.split(np.zeros(len(images)), images.labels.numpy()):
        net = train(rules, _some(images, others))
        weights = Weights(name=request.name, recipe=rules, payload=written(net, family.exact))
        trained = family.assemble(request.name, weights, dict(request.options))
        probabilities[fold] = _asked(trained, _some(images, fold))
    return _saved(path, probabilities)


def _some(images: LabelledImages, positions: Any) -> LabelledImages:
    """Return the images at some positions."""
    rows = torch.as_tensor(positions)
    return LabelledImages(images.pixels(rows), images.labels[rows], images.top)


def _path(facts: str) -> Path:
    """Return the cache file, named by everything that the probabilities depend on."""
    name = hashlib.sha256(facts.encode()).hexdigest()[:20]
    return cache_dir() / "members" / f"{name}.safetensors"


def _kept(path: Path, count: int) -> torch.Tensor | None:
    """Return the probabilities in a cache file; None if it is missing or damaged."""
    try:
        probabilities = load_tensors(path.read_bytes())["probabilities"]
    except (OSError, SafetensorError, KeyError):
        return None
    return probabilities if len(probabilities) == count else None


def _saved(path: Path, probabilities: torch.Tensor) -> torch.Tensor:
    payload = save_tensors({"probabilities": probabilities.contiguous()})
    atomic_write(path, payload, "BENCH_CACHE")
    return probabilities

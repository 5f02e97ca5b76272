"""Weights as safetensors files: saved with a card after training, checked before every load."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save as save_tensors
from torch import nn

from bench.adapters.passes import images_at_once
from bench.data.datasets import load
from bench.data.labelled import LabelledImages
from bench.errors import PrerequisiteError
from bench.spec import Adapter, Scalar
from bench.store.files import write_together
from bench.train.cards import (
    ELSEWHERE,
    Weights,
    damaged,
    lacks_weights,
    read_card,
    retrained_dir,
    snapshots_file,
    weights_file,
)
from bench.train.epochs import Epoch, TrainingEpoch
from bench.train.families import family_named
from bench.train.networks import with_weights
from bench.train.poisoning import poison_facts
from bench.train.recipe import Recipe
from bench.train.recipes import recipe
from bench.train.selection import LearningCurves, held_out_splits
from bench.train.trainer import train


def train_to(
    folder: Path,
    name: str,
    data_root: Path | None,
    device: str = "cpu",
    report: Callable[[TrainingEpoch], None] = lambda epoch: None,
) -> dict[str, Any]:
    """Train a model by its recipe; save weights, card and snapshots; return the card."""
    rules = recipe(name)
    for other in family_named(rules.family).needs(rules):
        if lacks_weights(other, recipe(other)):
            train_to(retrained_dir(), other, data_root, device, report)
    images, test = load(rules.data, "train", data_root), load(rules.data, "test", data_root)
    epochs: list[Epoch] = []
    take = family_named(rules.family).snapshots
    snapshots = None if take is None else take(rules, test)
    curves = learning_curves(rules, data_root)

    def watch(epoch: TrainingEpoch, net: nn.Module) -> None:
        if isinstance(epoch, Epoch):
            epoch = epoch if curves is None else curves.watch(epoch, net)
            epochs.append(epoch)
        if snapshots is not None:
            snapshots.watch(epoch, net)
        report(epoch)

    net = train(rules, images, device, watch)
    if curves is not None:
        net.load_state_dict(curves.best)
    taken = None if snapshots is None else snapshots.payload()
    if taken is not None:
        family_named(rules.family).read_snapshots(
            taken
        )  # fails here rather than in every later run
    facts = training_facts(device, epochs) | ({} if curves is None else curves.facts())
    return write_weights(folder, name, net, data_root, facts, taken)


def write_weights(
    folder: Path,
    name: str,
    net: nn.Module,
    data_root: Path | None,
    training: Mapping[str, Any],
    snapshots: bytes | None = None,
) -> dict[str, Any]:
    """Save a trained network, in half precision unless its family says otherwise, with its card; return the card.

    The card takes its name last: without it nothing of the training counts.

    Args:
        folder: of weights.
        name: of the model, which has a recipe.
        net: trained by that recipe.
        data_root: the data folder; clean accuracy is measured on the whole test split.
        training: facts of its training for the card, plain JSON values by name.
        snapshots: the file of those taken while it was trained; None for none.
    """
    rules, kind = recipe(name), family_named(recipe(name).family)
    payload = written(net, kind.exact)
    weights = Weights(name=name, recipe=rules, payload=payload, data_root=data_root)
    images, test = load(rules.data, "train", data_root), load(rules.data, "test", data_root)
    model = kind.assemble(name, weights, {})
    card = {
        "name": name,
        "recipe": rules.written(),
        "data": {
            "name": rules.data,
            "train_images": len(images),
            "train_checksum": images.checksum(),
            "test_images": len(test),
            "test_checksum": test.checksum(),
        },
        "seed": rules.seed,
        "parameters": sum(weight.numel() for weight in net.parameters()),
        **kind.card_facts(rules, net),
        "clean_accuracy": clean_accuracy(model, test),
        **poison_facts(rules, model, test),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "bytes": len(payload),
        "precision": _precision(kind.exact),
        "training": dict(training),
    }
    path = weights_file(folder, name)
    files = {} if snapshots is None else {snapshots_file(folder, name): snapshots}
    files[path] = payload
    files[path.with_suffix(".json")] = (json.dumps(card, indent=2) + "\n").encode()
    write_together(files, ELSEWHERE)
    return card


def learning_curves(rules: Recipe, data_root: Path | None) -> LearningCurves | None:
    """Return what watches a training on held-out images; None for a recipe that keeps its last epoch.

    Raises:
        SpecError: as in `bench.train.selection.held_out_splits`.
    """
    splits = held_out_splits(rules)
    if not splits:
        return None
    return LearningCurves(rules, {split: load(rules.data, split, data_root) for split in splits})


def training_facts(device: str, epochs: Sequence[Epoch]) -> dict[str, Any]:
    """Return the facts of a training for its card.

    Args:
        device: the device it ran on.
        epochs: reports of its epochs. Accuracy is of the training images as they were changed at random,
            and is on the card only where other images were watched too.
    """
    curves = {"loss_by_epoch": [round(epoch.loss, 4) for epoch in epochs]}
    if any(epoch.held_out is not None for epoch in epochs):
        curves["accuracy_by_epoch"] = [round(epoch.accuracy, 4) for epoch in epochs]
    return {
        "device": _device_name(device),
        **curves,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _device_name(device: str) -> str:
    """Return the name of a device for a card, with the model of a GPU."""
    where = torch.device(device)
    return f"{device} ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else device


def _precision(exact: Sequence[str]) -> str:
    if "" in exact:
        return "as fitted"
    return ", ".join(["float16", *(f"{ending} float32" for ending in exact)])


def written(net: nn.Module, exact: Sequence[str]) -> bytes:
    """Return weights as bytes, in half precision except those with an `exact` name ending.

    Integers in a state dict (batch norm's step count) stay as they are.
    """
    state = {
        key: value.half() if value.is_floating_point() and not key.endswith(tuple(exact)) else value
        for key, value in net.state_dict().items()
    }
    return save_tensors({key: value.contiguous() for key, value in state.items()})


def load_weights(
    folder: Path,
    name: str,
    data_root: Path | None = None,
    options: Mapping[str, Scalar] | None = None,
    device: str = "cpu",
) -> Adapter:
    """Return a model with the weights of a folder, checked against their card.

    Args:
        folder: of weights.
        name: of the model.
        data_root: the data folder, for a model that stores its training images.
        options: of the model.
        device: the device it will be moved to, not by this function.

    Raises:
        PrerequisiteError: weights or card are missing, or the file is not the one on the card.
    """
    weights = read_weights(folder, name, data_root, device)
    with sound(folder, name):
        return family_named(weights.recipe.family).assemble(name, weights, options or {})


def check_weights(folder: Path, name: str) -> None:
    """Check that the weights of a model match its card and fit its network; needs no data.

    Raises:
        PrerequisiteError: as in `load_weights`.
    """
    weights = read_weights(folder, name)
    with sound(folder, name):
        with_weights(family_named(weights.recipe.family).build(weights.recipe), weights.payload)


def read_weights(
    folder: Path, name: str, data_root: Path | None = None, device: str = "cpu"
) -> Weights:
    """Return the weights of a model and the recipe on their card, after checking that they match.

    Args:
        folder: of weights.
        name: of the model.
        data_root: the data folder.
        device: the device the model will be moved to.

    Raises:
        PrerequisiteError: weights or card are missing, or the file is not the one on the card.
    """
    path = weights_file(folder, name)
    card = read_card(folder, name)
    if card is None or not path.is_file():
        raise PrerequisiteError(f"{name} has no weights in {folder}; run: bench train {name}")
    payload = path.read_bytes()
    if hashlib.sha256(payload).hexdigest() != card.get("sha256"):
        raise damaged(name, path, "its sha256 is not the one on its card")
    rules = Recipe.read(card["recipe"])
    return Weights(name=name, recipe=rules, payload=payload, data_root=data_root, device=device)


@contextmanager
def sound(folder: Path, name: str) -> Iterator[None]:
    """Report weights that do not fit their network as a damaged file.

    Raises:
        PrerequisiteError: the code within the context could not load them.
    """
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        path = weights_file(folder, name)
        raise damaged(name, path, str(error).splitlines()[0]) from error


def clean_accuracy(model: Adapter, data: LabelledImages) -> float:
    """Return the share of images a model classifies correctly."""
    hits = 0
    for rows in torch.split(torch.arange(len(data)), images_at_once(data.shape())):
        labels = model.predict(data.batch(rows)).labels
        hits += int((labels == data.labels[rows]).sum())
    return hits / len(data)

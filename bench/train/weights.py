"""Weights in safetensors: written with their card after a training, checked before every load."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from bench.adapters.network import Normalised, wrap
from bench.data.datasets import LabelledImages, load
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError
from bench.spec import Adapter, Scalar
from bench.store.files import atomic_write
from bench.train.cards import damaged, moments_file, read_card, weights_file
from bench.train.local_learning.rule import FilterEpoch, f_score
from bench.train.local_learning.snapshots import FilterPictures
from bench.train.metric_learning.neighbours import neighbours, sketched_neighbours
from bench.train.metric_learning.snapshots import Moments
from bench.train.recipe import Recipe
from bench.train.recipes import recipe
from bench.train.trainer import Epoch, build, train

#: What names another folder of weights.
ELSEWHERE = "BENCH_CACHE"


def train_to(
    folder: Path,
    name: str,
    data_root: Path | None,
    device: str = "cpu",
    report: Callable[[Epoch | FilterEpoch], None] = lambda epoch: None,
) -> dict[str, Any]:
    """Train a model by its recipe, write weights and card into a folder, return the card.

    What a training is watched for is written too: what an embedding made of a few test images, or
    pictures of filters.
    """
    rules = recipe(name)
    images, test = load(rules.data, "train", data_root), load(rules.data, "test", data_root)
    epochs: list[Epoch] = []
    moments: Moments | FilterPictures | None = None
    if rules.embedding:
        moments = Moments(rules, test)
    elif rules.options:
        moments = FilterPictures(rules)

    def watch(epoch: Epoch | FilterEpoch, net: nn.Module) -> None:
        if isinstance(epoch, Epoch):
            epochs.append(epoch)
        if moments is not None:
            moments.watch(epoch, net)
        report(epoch)

    net = train(rules, images, device, watch)
    card = write_weights(folder, name, net, data_root, device, epochs)
    if moments is not None:
        atomic_write(moments_file(folder, name), moments.payload(), ELSEWHERE)
    return card


def write_weights(
    folder: Path,
    name: str,
    net: nn.Module,
    data_root: Path | None,
    device: str,
    epochs: Sequence[Epoch],
) -> dict[str, Any]:
    """Write a trained network in half precision with its card, return the card.

    Args:
        folder: of weights.
        name: of the model, which has a recipe.
        net: trained by that recipe.
        data_root: the data folder; clean accuracy is measured on the whole test split.
        device: where it was trained.
        epochs: how the training went.
    """
    rules = recipe(name)
    state = {key: _shipped(key, value).contiguous() for key, value in net.state_dict().items()}
    payload = save_tensors(state)
    images, test = load(rules.data, "train", data_root), load(rules.data, "test", data_root)
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
        **_filters_facts(rules, net),
        "clean_accuracy": clean_accuracy(_assembled(name, rules, payload, data_root, {}), test),
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "bytes": len(payload),
        "precision": "float16, filters float32" if rules.options else "float16",
        "training": {
            "device": _device_name(device),
            "loss_by_epoch": [round(epoch.loss, 4) for epoch in epochs],
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    path = weights_file(folder, name)
    atomic_write(path, payload, ELSEWHERE)
    atomic_write(path.with_suffix(".json"), (json.dumps(card, indent=2) + "\n").encode(), ELSEWHERE)
    return card


def _device_name(device: str) -> str:
    """Return a device as a card names it: a GPU by its model too."""
    where = torch.device(device)
    return f"{device} ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else device


def _filters_facts(rules: Recipe, net: nn.Module) -> dict[str, float]:
    """Return what a card says of filters learnt without gradients."""
    if rules.rule is None:
        return {}
    filters = next(net.parameters()).detach().flatten(1)
    return {"f_score": f_score(filters, int(dict(rules.options)["p"]))}


def _shipped(key: str, value: torch.Tensor) -> torch.Tensor:
    """Return a weight in the precision it is written in.

    State dicts hold integers too (batch norm's step count); only weights are halved. Whether a filter
    of local learning is of unit norm shows in single precision alone.
    """
    exact = not value.is_floating_point() or key.endswith("filters")
    return value if exact else value.half()


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
        data_root: the data folder, for a model that remembers its training images.
        options: of the model.
        device: where it is about to be moved; it is not moved here.

    Raises:
        PrerequisiteError: weights or card are missing, or the file is not the one on the card.
    """
    rules, payload = _read(folder, name)
    with _sound(folder, name):
        return _assembled(name, rules, payload, data_root, options or {}, device)


def sketched_weights(
    folder: Path, name: str, data_root: Path | None, options: Mapping[str, Scalar], device: str
) -> Adapter | None:
    """Return a model that remembers its training images as `sketched_neighbours` does.

    Args:
        folder: of weights.
        name: of the model.
        data_root: the data folder.
        options: of the model.
        device: where it is about to be moved; it is not moved here.

    Raises:
        PrerequisiteError: as `load_weights`.
    """
    rules, payload = _read(folder, name)
    with _sound(folder, name):
        embed = _embedding(rules, payload, device)
        return sketched_neighbours(name, rules, embed, data_root, **options)


def check_weights(folder: Path, name: str) -> None:
    """Raise unless the weights of a model are those of its card and fit its network.

    Raises:
        PrerequisiteError: as `load_weights`; no data are needed.
    """
    rules, payload = _read(folder, name)
    with _sound(folder, name):
        _network(rules, payload)


def _read(folder: Path, name: str) -> tuple[Recipe, bytes]:
    """Return the recipe on a model's card and the weights that belong to it."""
    path = weights_file(folder, name)
    card = read_card(folder, name)
    if card is None or not path.is_file():
        raise PrerequisiteError(f"{name} has no weights in {folder}; run: bench train {name}")
    payload = path.read_bytes()
    if hashlib.sha256(payload).hexdigest() != card.get("sha256"):
        raise damaged(name, path, "its sha256 is not the one on its card")
    return Recipe.read(card["recipe"]), payload


@contextmanager
def _sound(folder: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        path = weights_file(folder, name)
        raise damaged(name, path, str(error).splitlines()[0]) from error


def _assembled(
    name: str,
    rules: Recipe,
    payload: bytes,
    data_root: Path | None,
    options: Mapping[str, Scalar],
    device: str = "cpu",
) -> Adapter:
    if rules.embedding:
        return neighbours(name, rules, _embedding(rules, payload, device), data_root, **options)
    data = DATASETS[rules.data]
    net = _network(rules, payload)
    made = wrap(
        net, len(data.classes), data.input_shape, rules.mean or None, rules.std or None
    )  # fmt: skip
    return dataclasses.replace(made, spec=dataclasses.replace(made.spec, family=rules.family))


def _network(rules: Recipe, payload: bytes) -> nn.Module:
    net = build(rules)
    state = load_tensors(payload)
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return net.eval()


@cache
def _embedding(rules: Recipe, payload: bytes, device: str) -> Normalised:
    """Return the embedding that all models on one trunk share; frozen, for that reason.

    Those of another device do not share it: moving a model would move theirs.
    """
    embed = Normalised(_network(rules, payload), rules.mean, rules.std)
    return embed.requires_grad_(False).eval()


def clean_accuracy(model: Adapter, data: LabelledImages) -> float:
    """Return the share of images a model classifies correctly."""
    hits = 0
    for start in range(0, len(data), 500):
        part = slice(start, start + 500)
        labels = model.predict(data.raw[part].float() / data.top).labels
        hits += int((labels == data.labels[part]).sum())
    return hits / len(data)

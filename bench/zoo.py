"""From names to models: shipped ones and those a user registers.

Small models are trained at first use, so this module imports `bench.train`, never the other way round.
Nothing here imports torch until a model is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.adapters.abilities import Registrable
from bench.errors import FactoryError
from bench.factories import made
from bench.model_names import (
    ADDRESSED,
    FAMILY_ORIGINS,
    MODELS,
    check_options,
    members_of,
    trained_as,
)
from bench.paths import data_dir
from bench.registry import load_plugin
from bench.spec import Adapter, ModelRequest, Scalar
from bench.train.cards import SHIPPED, Weights, lacks_weights, retrained_dir, weights_folder
from bench.train.families import family_named
from bench.train.recipes import recipe
from bench.train.users_family import owner
from bench.users_functions import Owner

if TYPE_CHECKING:
    import torch

    from bench.models.trunks import Trunk


def has_to_be_trained(name: str) -> bool:
    """Return whether loading a model would train it, since its recipe has no weights yet.

    Args:
        name: of a model with its own weights, see `trained_as`.

    Raises:
        SpecError: no such model.
    """
    if not MODELS[name].facts["recipe"]:
        return False
    return lacks_weights(name, recipe(name))


def train_model(name: str, data_root: Path | None) -> dict[str, Any]:
    """Train a model, save it to the cache and return its card.

    Raises:
        TrainingFailed: the training diverged.
        FamilyError: a function of the user's family of the model fails.
    """
    from bench.train.weights import train_to

    with _blamed(name, "training"):
        return train_to(retrained_dir(), name, data_root)


@contextmanager
def _blamed(name: str, role: str) -> Iterator[None]:
    """Report an error of a user's model within the context as one line about its family or factory."""
    facts = MODELS[name].facts
    if facts["ours"]:
        yield
        return
    own = Owner(title=name, origin=MODELS[name].origin(), error=FactoryError)
    if facts["recipe"]:
        own = owner(facts["family"], FAMILY_ORIGINS.get(facts["family"], ""))
    with own.blamed(role):
        yield


def _trained(
    name: str, data_root: Path | None, options: Mapping[str, Scalar], device: str
) -> Adapter:
    own = trained_as(name, options)
    for each in (*family_named(MODELS[own].facts["family"]).needs(recipe(own)), own):
        if has_to_be_trained(each):
            train_model(each, data_root)
    assemble = family_named(MODELS[name].facts["family"]).assemble
    with _weights(own, data_root, device) as weights:
        return assemble(name, weights, options)


@contextmanager
def _weights(name: str, data_root: Path | None, device: str) -> Iterator[Weights]:
    """Yield the weights of a model; if they do not fit within the context, they are reported as damaged."""
    from bench.train.weights import read_weights, sound

    folder = weights_folder(name) or SHIPPED
    weights = read_weights(folder, name, data_root, device)
    with sound(folder, name):
        yield weights


def load_model(
    name: str,
    options: Mapping[str, Scalar] | None = None,
    *,
    plugin: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
    data: str | os.PathLike[str] | None = None,
) -> Adapter:
    """Return a model, ready to predict; small ones without weights are trained first, in seconds.

    Args:
        name: a registered name (`bench ls models` lists them), or an address such as
            `timm:resnet18.a1_in1k` (`bench.addresses`).
        options: settings that its factory takes; an address has them in itself.
        plugin: a Python file to run first, which registers the user's models.
        device: the device to run the model on.
        data: the data folder, for a model that has to be trained first.

    Raises:
        SpecError: no such model, or an option it does not take.
        PrerequisiteError: its weights, or what loads them, are missing or damaged.
        FactoryError: the factory fails or returns something that is not a model.
    """
    if plugin is not None:
        load_plugin(plugin)
    check_options(name, options or {})
    entry = MODELS[name]
    parts = members_of(name, options or {})
    if parts:
        members = {
            part: load_model(part.name, dict(part.options), device=device, data=data)
            for part in parts
        }
        whole = combined(name, members, options or {}, data=data)
        assert whole is not None  # only a plan gets None
        return whole
    if entry.target == ADDRESSED:
        adapter = entry.load()(name)
    elif entry.facts["recipe"]:
        adapter = _trained(name, data_dir(data), dict(options or {}), str(device))
    else:
        adapter = made(name, entry.load(), dict(options or {}))
    return _registered(name, adapter, device)


def load_trunk(name: str, data: str | os.PathLike[str] | None = None) -> Trunk:
    """Return a trunk: a frozen network from images (N, C, H, W) in [0, 1] to flat features (N, D).

    Args:
        name: `imagenet/efficientnet-lite0`, `imagenet/vgg16`, `imagenet/inceptionv3`, `imagenet/mobilenetv1`,
            `imagenet/mobilenetv2`, `imagenet/mobilenetv3`, `imagenet/xception`, or one of Crossfire's own
            networks, such as `cifar10/cnn`, which ends before its head.
        data: the data folder, for a network that has to be trained first.

    Raises:
        SpecError: no such network, or one of which it is not known where its head begins.
        PrerequisiteError: its weights, or the package that has them, are missing.
    """
    from bench.train.features.trunks import PUBLISHED, trunk_named

    if name not in PUBLISHED and has_to_be_trained(name):
        train_model(name, data_dir(data))
    return trunk_named(name, "cpu")


def combined(
    name: str,
    members: Mapping[ModelRequest, Adapter],
    options: Mapping[str, Scalar],
    *,
    data: str | os.PathLike[str] | None = None,
    quickly: bool = False,
) -> Adapter | None:
    """Return a model that is made of others.

    Args:
        name: of the model.
        members: the models it is made of, loaded, see `members_of`.
        options: settings that it takes.
        data: the data folder.
        quickly: whether to return None where making it takes long.

    Raises:
        BenchError: as in `load_model`.
    """
    combine = family_named(MODELS[name].facts["family"]).combine
    adapter = combine(name, members, dict(options), data_dir(data), quickly=quickly)
    if adapter is None or not isinstance(adapter, Registrable):
        return adapter
    facts = MODELS[name].facts
    return adapter.registered(name, facts["data"], facts["ours"])


def sketch_model(
    name: str,
    options: Mapping[str, Scalar],
    *,
    device: torch.device | str = "cpu",
    data: str | os.PathLike[str] | None = None,
) -> Adapter | None:
    """Return a model to plan with, as its family sketches it; None if that takes minutes.

    Args:
        name: of a model with a recipe that has weights.
        options: settings that it takes.
        device: the device to run the model on.
        data: the data folder.

    Raises:
        BenchError: as in `load_model`.
    """
    sketch = family_named(MODELS[name].facts["family"]).sketch
    if sketch is None:
        return load_model(name, options, device=device, data=data)
    with _weights(trained_as(name, options), data_dir(data), str(device)) as weights:
        adapter = sketch(name, weights, options)
    return None if adapter is None else _registered(name, adapter, device)


def _registered(name: str, adapter: Adapter, device: torch.device | str) -> Adapter:
    """Return a model under its registered name, moved to a device."""
    facts = MODELS[name].facts
    if isinstance(adapter, Registrable):
        adapter = adapter.registered(name, facts["data"], facts["ours"])
    with _blamed(name, "model's surfaces"):
        for surface in adapter.surfaces().values():
            surface.to(device)
    return adapter

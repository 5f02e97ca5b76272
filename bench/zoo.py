"""From names to models: the shipped ones, and those a user registers.

Nothing here imports torch until a model is loaded.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.factories import made
from bench.paths import data_dir
from bench.registry import Entry, Registry, load_plugin, unknown
from bench.spec import Adapter, Family, Scalar
from bench.train.cards import SHIPPED, read_card, retrained_dir, weights_folder
from bench.train.local_learning.names import local_recipe
from bench.train.recipe import Recipe
from bench.train.recipes import RECIPES, SMOOTHED, SMOOTHING, base_name, recipe

if TYPE_CHECKING:
    import torch


def _entry(rules: Recipe) -> Entry:
    facts = {"data": rules.data, "family": rules.family, "recipe": True}
    return Entry("bench.zoo:_trained", facts)


def _derived(name: str) -> Entry | None:
    """Return the entry of a model whose name says how it is trained, listed or not."""
    rules = local_recipe(name)
    return None if rules is None else _entry(rules)


MODELS = Registry("model", _derived)
for _name, _recipe in RECIPES.items():
    MODELS.add(_name, "bench.zoo:_trained", **_entry(_recipe).facts)

for _name in SMOOTHED:
    _data = _name.partition("/")[0]
    MODELS.add(_name, "bench.zoo:_trained", data=_data, family="smoothed", recipe=True)

#: The surfaces of a model with a recipe, by family.
SURFACES = {
    "network": ["network"],
    "local-learning": ["network"],
    "neighbours": ["soft-knn", "nearest-other", "metric-loss"],
    "smoothed": ["expected", "one-draw", "base"],
}

Factory = TypeVar("Factory", bound=Callable[..., Adapter])


def register_model(name: str, data: str, family: str = "network") -> Callable[[Factory], Factory]:
    """Return a decorator that registers a function making a model.

    Args:
        name: what suites and the command line call the model.
        data: the data set it classifies.
        family: one of `bench.spec.Family`.

    Raises:
        SpecError: no such data set or family, or a name that is taken by another factory.
    """
    if data not in DATASETS:
        raise unknown("data set", data, list(DATASETS))
    if family not in get_args(Family):
        raise unknown("family", family, list(get_args(Family)))

    def register(factory: Factory) -> Factory:
        MODELS.add(name, factory, data=data, family=family, recipe=False)
        return factory

    return register


def trained_as(name: str, options: Mapping[str, Scalar]) -> str:
    """Return the model whose weights a model has: itself, or the network that it smooths.

    Raises:
        SpecError: there is no network for its options.
    """
    return base_name(name, options) if name in SMOOTHED else name


def has_to_be_trained(name: str) -> bool:
    """Return whether a model has no weights of its recipe yet, so that loading it would train it.

    Args:
        name: of a model with weights of its own, see `trained_as`.

    Raises:
        SpecError: no such model.
    """
    if not MODELS[name].facts["recipe"]:
        return False
    rules = recipe(name)
    if rules.shipped or not rules.first_use:
        return False
    folder = weights_folder(name)
    card = read_card(folder, name) if folder else None
    # What an older recipe left in the cache is not this model.
    return card is None or bool(card["recipe"] != rules.written())


def check_options(name: str, options: Mapping[str, Scalar]) -> None:
    """Raise where a model is given an option that it does not take; nothing is loaded.

    Raises:
        SpecError: no such model, or no such option; the message names those it takes.
    """
    takes = _options(name)
    extra = [parameter for parameter in options if takes is not None and parameter not in takes]
    if extra:
        known = ", ".join(takes or ()) or "no options"
        raise SpecError(f"{name} takes {known}, got {', '.join(extra)}")


def _options(name: str) -> tuple[str, ...] | None:
    """Return the options that a model takes; None where its factory takes any."""
    entry = MODELS[name]
    if name in SMOOTHED:
        return tuple(SMOOTHING)
    if entry.facts["recipe"]:
        return ("k", "distance") if recipe(name).embedding else ()
    try:
        parameters = inspect.signature(entry.load()).parameters.values()
    except ValueError:  # of a factory written in C
        return None
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(one.name for one in parameters if one.kind in named)


def train_model(name: str, data_root: Path | None) -> dict[str, Any]:
    """Train a model into the cache, return its card.

    Raises:
        TrainingFailed: it comes to nothing.
    """
    from bench.train.weights import train_to

    return train_to(retrained_dir(), name, data_root)


def _trained(
    name: str, data_root: Path | None, options: Mapping[str, Scalar], device: str
) -> Adapter:
    from bench.adapters.network import NetworkAdapter
    from bench.train.weights import load_weights

    own = trained_as(name, options)
    if has_to_be_trained(own):
        train_model(own, data_root)
    folder = weights_folder(own) or SHIPPED
    if own == name:
        return load_weights(folder, name, data_root, options, device)
    from bench.train.smoothing import smoothed

    base = load_weights(folder, own, data_root, {}, device)
    assert isinstance(base, NetworkAdapter), own
    return smoothed(name, base, options)


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
        name: a registered name; `bench ls models` lists them.
        options: settings its factory takes.
        plugin: a Python file to run first, which registers models of one's own.
        device: where the model is to run.
        data: the data folder, for a model that has to be trained first.

    Raises:
        SpecError: no such model, or an option it does not take.
        PrerequisiteError: its weights are missing or damaged.
        FactoryError: the factory fails or returns something that is not a model.
    """
    from bench.adapters.neighbours import NeighboursAdapter
    from bench.adapters.network import NetworkAdapter
    from bench.adapters.predict_only import PredictOnlyAdapter
    from bench.adapters.smoothed import SmoothedAdapter

    if plugin is not None:
        load_plugin(plugin)
    check_options(name, options or {})
    entry = MODELS[name]
    factory, facts = entry.load(), entry.facts
    if facts["recipe"]:
        adapter = _trained(name, data_dir(data), dict(options or {}), str(device))
    else:
        adapter = made(name, factory, dict(options or {}))
    if isinstance(adapter, NetworkAdapter | PredictOnlyAdapter | SmoothedAdapter):
        # wrap() cannot know the name its result is registered under.
        spec = dataclasses.replace(adapter.spec, name=name, data=facts["data"])
        adapter = dataclasses.replace(adapter, spec=spec)
    if isinstance(adapter, NetworkAdapter | NeighboursAdapter | SmoothedAdapter):
        adapter = dataclasses.replace(adapter, recipe=facts["recipe"])
    for surface in adapter.surfaces().values():
        surface.to(device)
    return adapter


def listing() -> list[dict[str, Any]]:
    """Return what is known of every registered model without loading one, a record each."""
    return [_facts(name) for name in sorted(MODELS)]


def _facts(name: str) -> dict[str, Any]:
    facts = MODELS[name].facts
    card: dict[str, Any] = {}
    weights = "of its own"
    if facts["recipe"]:
        own = trained_as(name, {})
        folder = weights_folder(own)
        card = (read_card(folder, own) if folder else None) or {}
        if own != name:
            card = {**card, "clean_accuracy": None}  # that of the network without noise
        if folder == SHIPPED:
            weights = "shipped"
        elif folder:
            weights = "trained here"
        else:
            weights = "trained at first use" if recipe(own).first_use else "trained when asked for"
    return {
        "name": name,
        "family": facts["family"],
        "data": facts["data"],
        "parameters": card.get("parameters"),
        "clean_accuracy": card.get("clean_accuracy"),
        "surfaces": SURFACES[facts["family"]] if facts["recipe"] else None,
        "weights": weights,
    }

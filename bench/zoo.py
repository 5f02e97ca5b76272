"""From names to models: the shipped ones, and those a user registers.

Nothing here imports torch until a model is loaded.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.adapters.abilities import Registrable
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.factories import made
from bench.paths import data_dir
from bench.registry import Entry, Registry, load_plugin, unknown
from bench.spec import Adapter, ModelName, Scalar
from bench.train.cards import SHIPPED, Weights, read_card, retrained_dir, weights_folder
from bench.train.families import FAMILIES, Family, family_named
from bench.train.recipes import RECIPES, recipe, recipe_named

if TYPE_CHECKING:
    import torch


#: The factory of every model that is trained by a recipe, or made of one that is.
_TRAINED = "bench.zoo:_trained"

#: The names of Crossfire's own families; models of others are a user's.
_OURS = frozenset(FAMILIES)


def _facts_of(family: str, data: str) -> dict[str, Any]:
    return {"data": data, "family": family, "recipe": True, "ours": family in _OURS}


def _derived(name: str) -> Entry | None:
    """Return the entry of a model whose name says how it is trained, listed or not."""
    rules = recipe_named(name)
    return None if rules is None else Entry(_TRAINED, _facts_of(rules.family, rules.data))


MODELS = Registry("model", _derived)

for _name, _recipe in RECIPES.items():
    MODELS.add(_name, _TRAINED, **_facts_of(_recipe.family, _recipe.data))

for _family in FAMILIES.values():
    for _name in _family.made_of_others:
        MODELS.add(_name, _TRAINED, **_facts_of(_family.name, ModelName.read(_name).data))

Factory = TypeVar("Factory", bound=Callable[..., Adapter])


def register_family(family: Family) -> None:
    """Add a family of models; those that it has recipes for are listed, and trained at first use.

    A model of it is a user's, as one of `register_model` is: it joins the suites of its data set, and
    everything about it counts for its fingerprint.

    Raises:
        SpecError: a name that is taken, a recipe of another family, or no such data set.
    """
    if family.name in _OURS:
        raise SpecError(f"family {family.name!r} is one of Crossfire's own; choose another name")
    names = [*family.recipes, *family.made_of_others]
    taken = [name for name in names if name in set(MODELS)]
    taken = [name for name in taken if MODELS[name].facts["family"] != family.name]
    if taken:
        raise SpecError(
            f"family {family.name!r}: there is a model {taken[0]!r} already; rename one"
        )
    for name, rules in family.recipes.items():
        if rules.family != family.name:
            raise SpecError(
                f"{name}: its recipe is of family {rules.family!r}, not {family.name!r}"
            )
    sets = [rules.data for rules in family.recipes.values()]
    sets += [ModelName.read(name).data for name in family.made_of_others]
    for data in sets:
        if data not in DATASETS:
            raise unknown("data set", data, list(DATASETS))
    FAMILIES[family.name] = family
    for name, rules in family.recipes.items():
        RECIPES[name] = dataclasses.replace(rules, shipped=False)
    for name, data in zip(names, sets, strict=True):
        MODELS.add(name, _TRAINED, **_facts_of(family.name, data))


def register_model(name: str, data: str, family: str = "network") -> Callable[[Factory], Factory]:
    """Return a decorator that registers a function making a model.

    Args:
        name: what suites and the command line call the model.
        data: the data set it classifies.
        family: a name of `bench.train.families`; `bench.register_family` adds one.

    Raises:
        SpecError: no such data set or family, or a name that is taken by another factory.
    """
    if data not in DATASETS:
        raise unknown("data set", data, list(DATASETS))
    family_named(family)

    def register(factory: Factory) -> Factory:
        MODELS.add(name, factory, data=data, family=family, recipe=False, ours=False)
        return factory

    return register


def trained_as(name: str, options: Mapping[str, Scalar]) -> str:
    """Return the model whose weights a model has: itself, or the one that it is made of.

    Raises:
        SpecError: no such model, or there is none to be made of with its options.
    """
    facts = MODELS[name].facts
    return family_named(facts["family"]).weights_of(name, options) if facts["recipe"] else name


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
    if entry.facts["recipe"]:
        return family_named(entry.facts["family"]).options
    try:
        parameters = inspect.signature(entry.load()).parameters.values()
    except ValueError:  # of a factory written in C
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(parameter.name for parameter in parameters if parameter.kind in named)


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
    own = trained_as(name, options)
    if has_to_be_trained(own):
        train_model(own, data_root)
    assemble = family_named(MODELS[name].facts["family"]).assemble
    with _weights(own, data_root, device) as weights:
        return assemble(name, weights, options)


@contextmanager
def _weights(name: str, data_root: Path | None, device: str) -> Iterator[Weights]:
    """Yield the weights of a model; what cannot be made of them within is damaged."""
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
    if plugin is not None:
        load_plugin(plugin)
    check_options(name, options or {})
    entry = MODELS[name]
    if entry.facts["recipe"]:
        adapter = _trained(name, data_dir(data), dict(options or {}), str(device))
    else:
        adapter = made(name, entry.load(), dict(options or {}))
    return _registered(name, adapter, device)


def sketch_model(
    name: str,
    options: Mapping[str, Scalar],
    *,
    device: torch.device | str = "cpu",
    data: str | os.PathLike[str] | None = None,
) -> Adapter | None:
    """Return a model to plan with, as its family sketches it; None where that takes minutes of work.

    Args:
        name: of a model with a recipe, whose weights are there.
        options: settings that it takes.
        device: where the model is to run.
        data: the data folder.

    Raises:
        BenchError: as `load_model`.
    """
    sketch = family_named(MODELS[name].facts["family"]).sketch
    if sketch is None:
        return load_model(name, options, device=device, data=data)
    with _weights(trained_as(name, options), data_dir(data), str(device)) as weights:
        adapter = sketch(name, weights, options)
    return None if adapter is None else _registered(name, adapter, device)


def _registered(name: str, adapter: Adapter, device: torch.device | str) -> Adapter:
    """Return a model under the name that it is registered under, moved to a device."""
    facts = MODELS[name].facts
    if isinstance(adapter, Registrable):
        adapter = adapter.registered(name, facts["data"], facts["ours"])
    for surface in adapter.surfaces().values():
        surface.to(device)
    return adapter


def listing() -> list[dict[str, Any]]:
    """Return what is known of every registered model without loading one, a record each."""
    return [_facts(name) for name in sorted(MODELS)]


def _facts(name: str) -> dict[str, Any]:
    facts = MODELS[name].facts
    card: dict[str, Any] = {}
    weights, surfaces = "of its own", None
    if facts["recipe"]:
        own = trained_as(name, {})
        surfaces = list(family_named(facts["family"]).surfaces(recipe(own)))
        folder = weights_folder(own)
        card = (read_card(folder, own) if folder else None) or {}
        if own != name:
            card = {**card, "clean_accuracy": None}  # that of the other model
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
        "surfaces": surfaces,
        "weights": weights,
    }

"""From names to models: shipped ones and those a user registers.

Small models are trained at first use, so this module imports `bench.train`, never the other way round.
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
from bench.errors import FactoryError, FamilyError, SpecError
from bench.factories import made
from bench.paths import data_dir
from bench.registry import Entry, Registry, check_origin, check_type, load_plugin, unknown
from bench.spec import Adapter, ModelName, ModelRequest, Scalar
from bench.train.cards import (
    SHIPPED,
    Weights,
    lacks_weights,
    read_card,
    retrained_dir,
    weights_folder,
)
from bench.train.families import FAMILIES, Family, family_named
from bench.train.pretrained import PRETRAINED
from bench.train.recipe import Recipe
from bench.train.recipes import RECIPES, recipe, recipe_named
from bench.train.users_family import guarded, origin, owner
from bench.users_functions import Owner

if TYPE_CHECKING:
    import torch

    from bench.models.trunks import Trunk

#: The factory of every model that is trained by a recipe, or uses the weights of one.
_TRAINED = "bench.zoo:_trained"

#: The names of Crossfire's own families; models of other families are users' models.
_OURS = frozenset(FAMILIES)

#: Where each family that a user registered is defined, by its name.
_ORIGINS: dict[str, str] = {}


#: The target of every model that is made of others, which has no factory: `combined` makes it.
_COMBINED = "bench.zoo:combined"


def _facts_of(family: str, data: str) -> dict[str, Any]:
    return {"data": data, "family": family, "recipe": True, "ours": family in _OURS}


def _add_made_of_others(family: Family, name: str) -> None:
    """Add a listed model of a family that uses the weights of another model, or is made of several."""
    facts = _facts_of(family.name, ModelName.read(name).data)
    if family.members_of is None:
        MODELS.add(name, _TRAINED, **facts)
    else:
        MODELS.add(name, _COMBINED, **{**facts, "recipe": False})


def _derived(name: str) -> Entry | None:
    """Return the entry of a model whose name describes its training, listed or not."""
    rules = recipe_named(name)
    return None if rules is None else Entry(_TRAINED, _facts_of(rules.family, rules.data))


MODELS = Registry("model", _derived)

for _name, _recipe in RECIPES.items():
    MODELS.add(_name, _TRAINED, **_facts_of(_recipe.family, _recipe.data))

for _family in FAMILIES.values():
    for _name in _family.made_of_others:
        _add_made_of_others(_family, _name)

for _name, _net in PRETRAINED.items():
    MODELS.add(_name, _net.load, data=_net.data, family="network", recipe=False, ours=True)

Factory = TypeVar("Factory", bound=Callable[..., Adapter])


def register_family(family: Family) -> None:
    """Add a family of models; those with a recipe are listed and trained at first use.

    Its models are users' models, like those of `register_model`: they join the suites of their data set,
    and everything reachable counts for their fingerprints.

    Raises:
        SpecError: a name that is taken, a recipe of another family, or an unknown data set.
    """
    check_type("register_family", family, Family)
    if family.name in _OURS:
        raise SpecError(f"family {family.name!r} is one of Crossfire's own; choose another name")
    where = origin(family)
    held = _ORIGINS.get(family.name) if family.name in FAMILIES else None
    check_origin("family", family.name, held, where)
    sets = _data_sets(family)
    FAMILIES[family.name], _ORIGINS[family.name] = guarded(family, where), where
    for name, rules in family.recipes.items():
        RECIPES[name] = dataclasses.replace(rules, shipped=False)
    for name in family.recipes:
        MODELS.add(name, _TRAINED, **_facts_of(family.name, sets[name]))
    for name in family.made_of_others:
        _add_made_of_others(FAMILIES[family.name], name)


def _data_sets(family: Family) -> dict[str, str]:
    """Return the data set of each listed model of a family, after checking their names and recipes."""
    names = [*family.recipes, *family.made_of_others]
    taken = [name for name in names if name in set(MODELS)]
    taken = [name for name in taken if MODELS[name].facts["family"] != family.name]
    if taken:
        raise SpecError(
            f"family {family.name!r}: there is a model {taken[0]!r} already; rename one"
        )
    for name, rules in family.recipes.items():
        if not isinstance(rules, Recipe):
            raise SpecError(
                f"family {family.name!r}: the recipe of {name} is {type(rules).__name__}; "
                f"give it bench.Recipe(...)"
            )
        if rules.family != family.name:
            raise SpecError(
                f"{name}: its recipe is of family {rules.family!r}, not {family.name!r}"
            )
    sets = [rules.data for rules in family.recipes.values()]
    sets += [ModelName.read(name).data for name in family.made_of_others]
    for data in sets:
        if data not in DATASETS:
            raise unknown("data set", data, list(DATASETS))
    return dict(zip(names, sets, strict=True))


def register_model(name: str, data: str, family: str = "network") -> Callable[[Factory], Factory]:
    """Return a decorator that registers a function returning a model.

    Args:
        name: the model's name in suites and on the command line.
        data: the data set it classifies.
        family: a name of `bench.train.families`; `bench.register_family` adds one.

    Raises:
        SpecError: an unknown data set or family, or a name taken by another factory.
    """
    if data not in DATASETS:
        raise unknown("data set", data, list(DATASETS))
    family_named(family)

    def register(factory: Factory) -> Factory:
        MODELS.add(name, factory, data=data, family=family, recipe=False, ours=False)
        return factory

    return register


def trained_as(name: str, options: Mapping[str, Scalar]) -> str:
    """Return the name of the model whose weights a model uses, itself or another one.

    Raises:
        SpecError: no such model, or no weights for its options.
    """
    facts = MODELS[name].facts
    return family_named(facts["family"]).weights_of(name, options) if facts["recipe"] else name


def members_of(name: str, options: Mapping[str, Scalar]) -> tuple[ModelRequest, ...]:
    """Return the models that a model is made of, after checking them; none for most models.

    Raises:
        SpecError: its options name no such members, or members that do not fit together.
    """
    entry = MODELS[name]
    family = family_named(entry.facts["family"])
    if entry.target != _COMBINED or family.members_of is None:
        return ()
    members = family.members_of(name, options)
    for member in members:
        held = MODELS[member.name]
        if held.target == _COMBINED:
            raise SpecError(f"{name}: {member.name} is made of other models itself; name those")
        if held.facts["data"] != entry.facts["data"]:
            raise SpecError(
                f"{name}: {member.name} classifies {held.facts['data']}, not {entry.facts['data']}"
            )
        check_options(member.name, dict(member.options))
    return members


def weights_names(name: str, options: Mapping[str, Scalar]) -> tuple[str, ...]:
    """Return the names of the models whose weights a model uses: those of its members, or one.

    Raises:
        SpecError: as in `trained_as` and `members_of`.
    """
    members = members_of(name, options)
    if not members:
        return (trained_as(name, options),)
    return tuple(dict.fromkeys(trained_as(member.name, dict(member.options)) for member in members))


def all_ours(name: str, options: Mapping[str, Scalar]) -> bool:
    """Return whether a model and all models it is made of are Crossfire's own."""
    names = (name, *(member.name for member in members_of(name, options)))
    return all(MODELS[each].facts["ours"] for each in names)


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


def check_options(name: str, options: Mapping[str, Scalar]) -> None:
    """Check that a model takes the given options, without loading it.

    Raises:
        SpecError: no such model or option; the message names the options it takes.
    """
    takes = _options(name)
    extra = [parameter for parameter in options if takes is not None and parameter not in takes]
    if extra:
        names = ", ".join(takes or ()) or "no options"
        raise SpecError(f"{name} takes {names}, got {', '.join(extra)}")
    members_of(name, options)


def _options(name: str) -> tuple[str, ...] | None:
    """Return the options that a model takes; None if its factory takes any."""
    entry = MODELS[name]
    if entry.facts["recipe"] or entry.target == _COMBINED:
        return family_named(entry.facts["family"]).options
    try:
        parameters = inspect.signature(entry.load()).parameters.values()
    except ValueError:  # a factory written in C has no signature
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(parameter.name for parameter in parameters if parameter.kind in named)


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
        own = owner(facts["family"], _ORIGINS.get(facts["family"], ""))
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
        name: a registered name; `bench ls models` lists them.
        options: settings that its factory takes.
        plugin: a Python file to run first, which registers the user's models.
        device: the device to run the model on.
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
    parts = members_of(name, options or {})
    if parts:
        members = {
            part: load_model(part.name, dict(part.options), device=device, data=data)
            for part in parts
        }
        whole = combined(name, members, options or {}, data=data)
        assert whole is not None  # only a plan gets None
        return whole
    if entry.facts["recipe"]:
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


def listing() -> list[dict[str, Any]]:
    """Return the facts of every registered model, without loading any, one record each."""
    return [_facts(name) for name in sorted(MODELS)]


def _facts(name: str) -> dict[str, Any]:
    facts = MODELS[name].facts
    card: dict[str, Any] = {}
    weights, surfaces = "of its own", None
    if name in PRETRAINED:
        known = PRETRAINED[name]
        card, weights, surfaces = {"parameters": known.parameters}, known.weights, ["network"]
    elif MODELS[name].target == _COMBINED:
        weights = "of its members"
    elif facts["recipe"]:
        try:
            card, weights, surfaces = _trained_facts(name)
        except FamilyError as error:
            weights = f"none: {error}"
    return {
        "name": name,
        "family": facts["family"],
        "data": facts["data"],
        "parameters": card.get("parameters"),
        "clean_accuracy": card.get("clean_accuracy"),
        "surfaces": surfaces,
        "weights": weights,
    }


def _trained_facts(name: str) -> tuple[dict[str, Any], str, list[str]]:
    """Return the card of a model with a recipe, where its weights are from, and its surfaces' names.

    Raises:
        FamilyError: a function of the user's family of the model fails.
    """
    own = trained_as(name, {})
    family = family_named(MODELS[name].facts["family"])
    surfaces = list(family.surfaces(recipe(own)))
    folder = weights_folder(own)
    card = (read_card(folder, own) if folder else None) or {}
    if own != name:  # the card's accuracy is that of the other model
        card = {**card, "clean_accuracy": None}
    if folder == SHIPPED:
        return card, "shipped", surfaces
    if folder:
        return card, "trained here", surfaces
    when = "trained at first use" if recipe(own).first_use else "trained when asked for"
    return card, when, surfaces

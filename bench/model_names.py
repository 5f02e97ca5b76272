"""The names of all models, with a few facts of each: shipped ones, those of families, users' own, addresses.

Nothing here loads a model, or imports torch.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bench.addresses.address import SCHEMES, data_of, is_address
from bench.data.table import DATASETS
from bench.errors import SpecError, UnknownName
from bench.registry import Entry, Registry, check_origin, check_type, unknown
from bench.spec import Adapter, ModelName, ModelRequest, Scalar
from bench.train.families import FAMILIES, Family, family_named
from bench.train.pretrained import PRETRAINED
from bench.train.recipe import Recipe
from bench.train.recipes import RECIPES, recipe_named
from bench.train.users_family import guarded, origin

#: The factory of every model that is trained by a recipe, or uses the weights of one.
TRAINED = "bench.zoo:_trained"

#: The names of Crossfire's own families; models of other families are users' models.
_OURS = frozenset(FAMILIES)

#: Where each family that a user registered is defined, by its name.
FAMILY_ORIGINS: dict[str, str] = {}


#: The target of every model at an address.
ADDRESSED = "bench.addresses.loading:load_address"

#: The target of every model that is made of others, which has no factory: `combined` makes it.
COMBINED = "bench.zoo:combined"


def _facts_of(family: str, data: str) -> dict[str, Any]:
    return {"data": data, "family": family, "recipe": True, "ours": family in _OURS}


def _add_made_of_others(family: Family, name: str) -> None:
    """Add a listed model of a family that uses the weights of another model, or is made of several."""
    facts = _facts_of(family.name, ModelName.read(name).data)
    if family.members_of is None:
        MODELS.add(name, TRAINED, **facts)
    else:
        MODELS.add(name, COMBINED, **{**facts, "recipe": False})


def _derived(name: str) -> Entry | None:
    """Return the entry of a model at an address, or whose name describes its training, listed or not."""
    if is_address(name):
        facts = {"data": data_of(name), "family": "network", "recipe": False, "ours": False}
        return Entry(ADDRESSED, facts)
    rules = recipe_named(name)
    return None if rules is None else Entry(TRAINED, _facts_of(rules.family, rules.data))


def _unknown(kind: str, name: str, known: list[str]) -> SpecError:
    """Return the error for an unknown name; for one that looks like an address, it names the schemes."""
    if ":" not in name:
        return unknown(kind, name, known)
    forms = ", ".join(scheme.form for scheme in SCHEMES.values())
    return UnknownName(f"no {kind} named {name!r}; addresses of models are {forms}")


MODELS = Registry("model", _derived, _unknown)

for _name, _recipe in RECIPES.items():
    MODELS.add(_name, TRAINED, **_facts_of(_recipe.family, _recipe.data))

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
    held = FAMILY_ORIGINS.get(family.name) if family.name in FAMILIES else None
    check_origin("family", family.name, held, where)
    sets = _data_sets(family)
    FAMILIES[family.name], FAMILY_ORIGINS[family.name] = guarded(family, where), where
    for name, rules in family.recipes.items():
        RECIPES[name] = dataclasses.replace(rules, shipped=False)
    for name in family.recipes:
        MODELS.add(name, TRAINED, **_facts_of(family.name, sets[name]))
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
        SpecError: an unknown data set or family, or a name that is an address or taken by another factory.
    """
    if is_address(name):
        raise SpecError(f"{name!r} is an address, which needs no registration; choose another name")
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
    if entry.target != COMBINED or family.members_of is None:
        return ()
    members = family.members_of(name, options)
    for member in members:
        held = MODELS[member.name]
        if held.target == COMBINED:
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


def check_options(name: str, options: Mapping[str, Scalar]) -> None:
    """Check that a model takes the given options, without loading it.

    Raises:
        SpecError: no such model or option; the message names the options it takes.
    """
    takes = _options(name)
    extra = [parameter for parameter in options if takes is not None and parameter not in takes]
    if extra and is_address(name):
        settings = "&".join(f"{parameter}={options[parameter]}" for parameter in extra)
        raise SpecError(
            f"{name}: write its settings into the address: {name}{'&' if '?' in name else '?'}{settings}"
        )
    if extra:
        names = ", ".join(takes or ()) or "no options"
        raise SpecError(f"{name} takes {names}, got {', '.join(extra)}")
    members_of(name, options)


def _options(name: str) -> tuple[str, ...] | None:
    """Return the options that a model takes; None if its factory takes any."""
    entry = MODELS[name]
    if entry.target == ADDRESSED:
        return ()
    if entry.facts["recipe"] or entry.target == COMBINED:
        return family_named(entry.facts["family"]).options
    try:
        parameters = inspect.signature(entry.load()).parameters.values()
    except ValueError:  # a factory written in C has no signature
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(parameter.name for parameter in parameters if parameter.kind in named)

"""A user's family of models: each of its functions is called so that an error in it is one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from bench.errors import FamilyError
from bench.registry import is_ours, origin_of
from bench.spec import Adapter, ModelRequest, Scalar
from bench.train.cards import Weights
from bench.train.families import Family
from bench.train.recipe import Recipe
from bench.users_functions import Owner


def _is_network(value: object) -> bool:
    from torch import nn

    return isinstance(value, nn.Module)


def _is_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_requests(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(part, ModelRequest) for part in value)


#: What the functions of a family must return, in code and in words; `fit` changes its network in place.
_RETURNS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "build": (_is_network, "a torch.nn.Module"),
    "fit": (lambda value: True, ""),
    "snapshots": (
        lambda value: callable(getattr(value, "watch", None)) and hasattr(value, "payload"),
        "an object with the methods watch and payload",
    ),
    "read_snapshots": (lambda value: isinstance(value, dict), "a dict"),
    "card_facts": (lambda value: isinstance(value, dict), "a dict"),
    "assemble": (
        lambda value: isinstance(value, Adapter),
        "a model, such as bench.wrap(net, ...) or bench.wrap_predict(function, ...)",
    ),
    "sketch": (lambda value: value is None or isinstance(value, Adapter), "a model or None"),
    "surfaces": (_is_names, "a tuple of names"),
    "needs": (_is_names, "a tuple of names"),
    "weights_of": (lambda value: isinstance(value, str), "the name of a model"),
    "recipe_named": (
        lambda value: value is None or isinstance(value, Recipe),
        "a bench.Recipe(...) or None",
    ),
    "members_of": (_is_requests, "a tuple of bench.spec.ModelRequest"),
    "combine": (
        lambda value: value is None or isinstance(value, Adapter),
        "a model, or None where it is asked for quickly",
    ),
    "surfaces_of": (_is_names, "a tuple of names"),
    "options_named": (lambda value: value is None or isinstance(value, dict), "a dict or None"),
}


def origin(family: Family) -> str:
    """Return where a family is defined: the first of its functions that is a user's, else its call."""
    return origin_of(*(getattr(family, role) for role in _RETURNS))


def owner(name: str, where: str) -> Owner:
    """Return what errors of the functions of a family, defined there, are put down to."""
    return Owner(title=f"family {name!r}", origin=where, error=FamilyError)


def guarded(family: Family, where: str) -> Family:
    """Return a family whose functions fail with one line and return nothing they must not.

    Args:
        family: as a user registers it.
        where: its origin.
    """
    functions: dict[str, Any] = {}
    for role, (fits, wanted) in _RETURNS.items():
        function = getattr(family, role)
        if function is not None:
            ours = is_ours(getattr(function, "__module__", None))
            own = owner(family.name, where if ours else origin_of(function))
            functions[role] = own.guarded(role, function, fits, wanted)
    surfaces, assemble = functions["surfaces"], functions["assemble"]

    def checked(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter:
        # A model whose surfaces cannot be named is left out of a plan and of a run alike.
        surfaces(weights.recipe)
        adapter: Adapter = assemble(name, weights, options)
        return adapter

    return dataclasses.replace(family, **{**functions, "assemble": checked})

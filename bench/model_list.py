"""What `bench ls models` says of each model, without loading any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.errors import FamilyError
from bench.model_names import COMBINED, MODELS, trained_as
from bench.spec import configuration
from bench.train.cards import SHIPPED, read_card, retrained_dir, weights_folder
from bench.train.families import family_named
from bench.train.pretrained import PRETRAINED
from bench.train.recipes import recipe


def listing() -> list[dict[str, Any]]:
    """Return the facts of every registered model and repeated training, without loading any, one record each."""
    return [_facts(name) for name in sorted({*MODELS, *_repeated()})]


def _repeated() -> Iterator[str]:
    """Yield the trainings with another seed (`NAME-seedN`) whose weights are here; there is no end of others."""
    listed = set(MODELS)
    for folder in (SHIPPED, retrained_dir()):
        for file in folder.rglob("*-seed*.safetensors"):
            name = file.relative_to(folder).as_posix().removesuffix(".safetensors")
            if configuration(name) in listed and weights_folder(name) is not None:
                yield name


def _facts(name: str) -> dict[str, Any]:
    facts = MODELS[name].facts
    card: dict[str, Any] = {}
    weights, surfaces = "of its own", None
    if name in PRETRAINED:
        known = PRETRAINED[name]
        card, weights, surfaces = {"parameters": known.parameters}, known.weights, ["network"]
    elif MODELS[name].target == COMBINED:
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

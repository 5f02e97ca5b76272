"""The trainings that a run records: all with learning curves on their cards, with or without weights.

A card without weights is the record of a training that was made elsewhere: a repeat with another seed, or a
network too large to ship. Imports no torch.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.spec import configuration
from bench.train.cards import SHIPPED, learning_curves, read_card, retrained_dir


class Recorded(NamedTuple):
    """Trainings, and what was asked for beside them.

    Attributes:
        found: one dict each, see `bench.store.results.Results`; repeats of one in the order of their seeds.
        left_out: a line for each glob that no training with learning curves matches.
    """

    found: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...]


def trainings(globs: Sequence[str]) -> Recorded:
    """Return the trainings whose names match one of some globs.

    Those made on this machine go before the shipped ones of the same name.

    Raises:
        PrerequisiteError: a card of them cannot be read as JSON.
    """
    if not globs:
        return Recorded((), ())
    folders = {name: folder for folder in (SHIPPED, retrained_dir()) for name in _named(folder)}
    matching = {
        glob: [name for name in folders if fnmatch.fnmatchcase(name, glob)] for glob in globs
    }
    names = {name for of_glob in matching.values() for name in of_glob}
    cards = ((name, read_card(folders[name], name) or {}) for name in names)
    known = {name: card for name, card in cards if learning_curves(card) is not None}
    left_out = (
        f"trainings: {_why_none(glob, of_glob)}"
        for glob, of_glob in matching.items()
        if known.keys().isdisjoint(of_glob)
    )
    found = sorted(
        (_facts(name, card) for name, card in known.items()),
        key=lambda facts: (facts["configuration"], facts["seed"]),
    )
    return Recorded(tuple(found), tuple(left_out))


def _why_none(glob: str, cards: Sequence[str]) -> str:
    """Return why a glob names no training, from the names of the cards that match it."""
    if not cards:
        return f"no card matches {glob!r}; bench train NAME makes one"
    return f"no card that matches {glob!r} has learning curves: its recipe watches no validation images"


def _named(folder: Path) -> Iterable[str]:
    """Return the names of the cards in a folder of weights."""
    return (
        path.relative_to(folder).as_posix().removesuffix(".json") for path in folder.rglob("*.json")
    )


def _facts(name: str, card: Mapping[str, Any]) -> dict[str, Any]:
    rules = card["recipe"]
    start = rules.get("start")
    return {
        "name": name,
        "configuration": configuration(name),
        "data": rules["data"],
        "seed": rules["seed"],
        "parameters": card["parameters"],
        "clean_accuracy": card["clean_accuracy"],
        "trunk": start and start["model"],
        "phases": [phase["epochs"] for phase in rules.get("phases", ())],
        "curves": learning_curves(card),
    }

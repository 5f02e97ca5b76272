"""The kinds of rows: how they are computed, which models have them, and their cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bench.attacks.row import Attack
from bench.attacks.rows import ATTACKS, CERTIFY, MEASUREMENTS
from bench.errors import SpecError
from bench.runner import certify
from bench.runner.attack import attack_images
from bench.runner.task import Chunk, Part, Task
from bench.spec import ROW_KINDS, Adapter, RowKind

#: A search for a radius ends once the label flips, on the shipped networks after about this many passes,
#: however many are allowed.
_UNTIL_A_FLIP = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of rows.

    Attributes:
        rows: the name and meaning of the rows, for readers of results.
        compute: returns the rows of some images, see `rows_of`, and the images tried.
        asked_by: the row of the attack table that a suite file names to get such rows; None for the
            kinds of toolkits' attacks.
        refuses: returns why a model cannot have such rows (follows its name); None if it can.
        pictures: whether the images tried are kept.
        passes: returns about how many passes per image the attack's parameters mean; None for the product
            of its counts.
        timed: makes some passes for images (N, C, H, W), for timing, and returns how many per image; None
            for a single gradient or answer.
    """

    rows: RowKind
    compute: Callable[[Task, Part], Chunk]
    asked_by: Attack | None = None
    refuses: Callable[[Adapter], str | None] = lambda adapter: None
    pictures: bool = True
    passes: Callable[[Mapping[str, Any]], int] | None = None
    timed: Callable[[Adapter, torch.Tensor], int] | None = None


KINDS: dict[str, Kind] = {
    kind.rows.name: kind
    for kind in (
        Kind(rows=ROW_KINDS["attack"], compute=attack_images),
        Kind(
            rows=ROW_KINDS["radius"],
            compute=attack_images,
            passes=lambda parameters: _UNTIL_A_FLIP,
        ),
        Kind(
            rows=ROW_KINDS["certify"],
            compute=certify.certify_images,
            asked_by=CERTIFY,
            refuses=certify.refuses,
            pictures=False,
            passes=lambda parameters: int(parameters["n0"]) + int(parameters["n"]),
            timed=certify.few_copies,
        ),
    )
}


def register_kind(kind: Kind) -> None:
    """Add a kind of rows, which suite files request in an `[[attacks]]` table.

    Raises:
        SpecError: its name or that of its `asked_by` is taken, or it has no `asked_by`.
    """
    name, row = kind.rows.name, kind.asked_by
    if row is None or row.rows != name:
        raise SpecError(f"kind {name!r}: give it asked_by=Attack(..., rows={name!r})")
    held = KINDS.get(name)
    if (held is not None and not _same(held, kind)) or row.name in ATTACKS:
        raise SpecError(f"kind {name!r} or its attack {row.name!r} is there already; rename it")
    if row.name in MEASUREMENTS and MEASUREMENTS[row.name].rows != name:
        raise SpecError(f"attack {row.name!r} asks for {MEASUREMENTS[row.name].rows!r}; rename it")
    KINDS[name], ROW_KINDS[name], MEASUREMENTS[row.name] = kind, kind.rows, row


def _same(left: Kind, right: Kind) -> bool:
    """Return whether two kinds are the same one, defined again as in a notebook."""
    names = [(kind.compute.__module__, kind.compute.__qualname__) for kind in (left, right)]
    return names[0] == names[1]

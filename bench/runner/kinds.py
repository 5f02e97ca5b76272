"""The kinds of rows: how they are computed, which models have them, and their cost."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.attacks.row import Attack
from bench.attacks.rows import ATTACKS, CERTIFY, MEASUREMENTS
from bench.errors import KindError, SpecError
from bench.registry import Entry, check_origin, check_type, unknown
from bench.runner import certify
from bench.runner.attack import attack_images
from bench.runner.task import Chunk, Part, Task
from bench.runner.users_rows import wrong_with
from bench.spec import COLUMNS, ROW, ROW_KINDS, Adapter, RowKind
from bench.users_functions import Owner

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
            passes=certify.copies,
            timed=certify.few_copies,
        ),
    )
}


def register_kind(kind: Kind) -> None:
    """Add a kind of rows, which suite files request in an `[[attacks]]` table.

    Raises:
        SpecError: its name or that of its `asked_by` is taken, it has no `asked_by`, or it measures what is
            no column of numbers.
    """
    check_type("register_kind", kind, Kind)
    name, row = kind.rows.name, kind.asked_by
    if row is None or row.rows != name:
        raise SpecError(f"kind {name!r}: give it asked_by=Attack(..., rows={name!r})")
    if not callable(kind.compute):
        raise SpecError(f"kind {name!r}: its compute is {kind.compute!r}; give it a function")
    _check_measured(kind)
    held, origin = KINDS.get(name), Entry(kind.compute, {}).origin()
    check_origin("kind", name, None if held is None else Entry(held.compute, {}).origin(), origin)
    if row.name in ATTACKS:
        raise SpecError(
            f"kind {name!r}: there is an attack {row.name!r} already; rename its asked_by"
        )
    if row.name in MEASUREMENTS and MEASUREMENTS[row.name].rows != name:
        raise SpecError(f"attack {row.name!r} asks for {MEASUREMENTS[row.name].rows!r}; rename it")
    KINDS[name], ROW_KINDS[name], MEASUREMENTS[row.name] = _guarded(kind, origin), kind.rows, row


def _check_measured(kind: Kind) -> None:
    measured = kind.rows.measures
    if measured is None:
        return
    title = f"kind {kind.rows.name!r}"
    if measured.column not in COLUMNS:
        raise SpecError(f"{title}: {unknown('column', measured.column, list(COLUMNS))}")
    if ROW[measured.column].type not in ("int", "float"):
        raise SpecError(f"{title}: column {measured.column!r} holds no numbers; measure another")


def _guarded(kind: Kind, origin: str) -> Kind:
    """Return a user's kind whose functions fail with one line and return nothing they must not."""
    owner = Owner(title=f"kind {kind.rows.name!r}", origin=origin, error=KindError)

    @functools.wraps(kind.compute)
    def compute(task: Task, part: Part) -> Chunk:
        with owner.blamed("compute"):
            chunk = kind.compute(task, part)
        wrong = wrong_with(chunk, task, part, kind.rows.name)
        if wrong:
            raise KindError(f"{owner.title}: {Path(origin).name}: its compute {wrong}")
        return chunk

    refuses = owner.guarded(
        "refuses", kind.refuses, lambda why: why is None or isinstance(why, str),
        "a text that says why a model cannot have such rows, or None",
    )  # fmt: skip
    passes = kind.passes and owner.guarded(
        "passes", kind.passes, lambda count: isinstance(count, int), "a whole number"
    )
    return dataclasses.replace(kind, compute=compute, refuses=refuses, passes=passes)

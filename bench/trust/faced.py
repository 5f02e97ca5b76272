"""Which attacks both sides of a comparison faced, and which side was attacked harder where they differ.

Two cells are the same attack if name, toolkit, radius and all parameters are equal; the surface must be
the same where both models are of one family and both have it, else each model is attacked through its
own. Of an attack that both sides faced, the cells count that are the same on both; what one side faced
beside them (by another toolkit, in more steps) is left out. Where an attack has no cell that is the
same on both sides, all its cells count, and the sides are unequal:

- a cell covers another if it is the same but for budgets (`BUDGETS`), of which it has at least as much;
- a side was attacked harder if its cells cover all of the other side's, and not the other way round;
- if neither side's cells cover the other's, neither was.

A model that is ahead although it was attacked harder is ahead under equal attacks too; one that is
ahead after weaker attacks need not be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import pandas as pd

from bench.spec import number

#: Parameters whose increase never makes an attack weaker.
BUDGETS = (
    "steps", "queries", "restarts", "population", "generations", "search_steps", "scan", "targets",
    "eot", "apgd_t", "fab_t",
)  # fmt: skip

Harder = Literal["", "left", "right", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faced:
    """The cells of both sides that a comparison uses.

    Attributes:
        left: keys of the cells on the left; all that count where the sides are unequal.
        right: on the right.
        harder: the side that was attacked harder; empty if both were attacked alike.
        why: what one side faced and the other did not; empty if both were attacked alike.
        left_out: attacks left out since only one side faced them; empty if there are none.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    harder: Harder = ""
    why: str = ""
    left_out: str = ""

    def note(self) -> str:
        """Return a note on attacks that only one side faced; empty if there are none."""
        if self.harder:
            more = "neither side" if self.harder == "neither" else self.harder
            return f"unequal attacks, {more} attacked harder: {self.why}"
        return f"left out, since one side alone faced it: {self.left_out}" if self.left_out else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacedCell:
    """A cell as comparisons read it.

    Attributes:
        fixed: all that is alike in cells that differ by budgets alone.
        budgets: the values of `BUDGETS` that it has.
    """

    key: str
    name: str
    toolkit: str
    surface: str
    family: str
    eps: str | None
    parameters: Mapping[str, Any]
    fixed: tuple[Any, ...]
    budgets: Mapping[str, float]


def faced(
    left: pd.DataFrame,
    right: pd.DataFrame,
    surfaces: tuple[Collection[str], Collection[str]],
    radius: float,
    known: dict[str, FacedCell] | None = None,
) -> Faced:
    """Return what both sides faced; see the head of this file.

    Args:
        left: rows of `Results.cells` that attacked the model on the left, of one norm.
        right: those of the model on the right.
        surfaces: all surfaces through which the run attacks the left model, and the right one.
        radius: the one that is compared; NaN where radii are measured. Cells of another one count
            where both sides have the same, and are passed over elsewhere.
        known: cells of the run by key, as an earlier comparison read them; those of this one join them.
    """
    eps = _eps(radius)
    known = {} if known is None else known
    left_cells, right_cells = _cells(left, known), _cells(right, known)
    same = list(_paired(left_cells, right_cells, surfaces, lambda cell: cell.budgets.items()))
    in_both = {cell.key for pair in same for cell in pair}
    shared = {(cell.name, cell.eps) for cell, _ in same}

    def counts(cell: FacedCell) -> bool:
        without_twin = cell.eps in (None, eps) and (cell.name, cell.eps) not in shared
        return cell.key in in_both or without_twin

    left_counted, right_counted = (
        [cell for cell in cells if counts(cell)] for cells in (left_cells, right_cells)
    )
    harder, why = _harder(left_counted, right_counted, surfaces, in_both)
    dropped = [
        _what_differs(cell, others)
        for cells, others in ((left_cells, right_cells), (right_cells, left_cells))
        for cell in cells
        if cell.eps in (None, eps) and not counts(cell)
    ]
    return Faced(
        left=tuple(cell.key for cell in left_counted),
        right=tuple(cell.key for cell in right_counted),
        harder=harder,
        why=why,
        left_out=", ".join(dict.fromkeys(dropped)),
    )


def _through_alike(
    left: FacedCell, right: FacedCell, surfaces: tuple[Collection[str], ...]
) -> bool:
    """Return whether two cells attack through the same surface, so far as both models have it."""
    both = left.surface in surfaces[1] and right.surface in surfaces[0]
    return left.family != right.family or not both or left.surface == right.surface


def _paired(
    left: Iterable[FacedCell],
    right: Iterable[FacedCell],
    surfaces: tuple[Collection[str], ...],
    also: Callable[[FacedCell], Iterable[Any]] = lambda cell: (),
) -> Iterator[tuple[FacedCell, FacedCell]]:
    """Yield the cells of both sides that are alike but for budgets, and in what `also` says of them."""

    def kind(cell: FacedCell) -> tuple[Any, ...]:
        return cell.name, cell.fixed, *also(cell)

    by_kind: dict[tuple[Any, ...], list[FacedCell]] = {}
    for other in right:
        by_kind.setdefault(kind(other), []).append(other)
    for cell in left:
        for other in by_kind.get(kind(cell), ()):
            if _through_alike(cell, other, surfaces):
                yield cell, other


def _harder(
    left: Sequence[FacedCell],
    right: Sequence[FacedCell],
    surfaces: tuple[Collection[str], ...],
    in_both: set[str],
) -> tuple[Harder, str]:
    """Return which side was attacked harder, and by what; `in_both` are the cells that are the same on both."""
    covered = set(in_both)
    pairs = chain(
        _paired([cell for cell in left if cell.key not in covered], right, surfaces),
        _paired(left, [cell for cell in right if cell.key not in covered], surfaces),
    )
    for cell, other in pairs:
        covered |= {other.key} if _covers(cell, other) else set()
        covered |= {cell.key} if _covers(other, cell) else set()
    more_left = [cell for cell in left if cell.key not in covered]
    more_right = [cell for cell in right if cell.key not in covered]
    on_left = _what_differs(more_left[0], right) if more_left else ""
    on_right = _what_differs(more_right[0], left) if more_right else ""
    if on_left and on_right:
        return "neither", f"left {on_left}, right {on_right}"
    if on_left:
        return "left", on_left
    return ("right", on_right) if on_right else ("", "")


def _cells(frame: pd.DataFrame, known: dict[str, FacedCell]) -> list[FacedCell]:
    keys = [str(key) for key in frame["cell"]]
    unread = [place for place, key in enumerate(keys) if key not in known]
    for cell in frame.iloc[unread].to_dict("records") if unread else ():
        parameters: Mapping[str, Any] = cell["parameters"]
        eps = _eps(cell["radius"])
        fixed = sorted(
            (name, str(value)) for name, value in parameters.items() if name not in BUDGETS
        )
        known[str(cell["cell"])] = FacedCell(
            key=str(cell["cell"]),
            name=str(cell["attack"]),
            toolkit=str(cell["toolkit"]),
            surface=str(cell["surface"]),
            family=str(cell["family"]),
            eps=eps,
            parameters=parameters,
            fixed=(cell["toolkit"], eps, cell["goal"], *fixed),
            budgets={
                name: _amount(parameters[name], name) for name in BUDGETS if name in parameters
            },
        )
    return [known[key] for key in keys]


def _eps(radius: float) -> str | None:
    return None if math.isnan(radius) else f"{radius:.6g}"


def _amount(value: Any, name: str) -> float:
    return float(value) if isinstance(value, bool) else number(value, name)


def _covers(cell: FacedCell, other: FacedCell) -> bool:
    """Return whether a cell equals the other except for budgets, none of which is smaller."""
    if cell.fixed != other.fixed or cell.budgets.keys() != other.budgets.keys():
        return False
    return all(cell.budgets[name] >= budget for name, budget in other.budgets.items())


def _what_differs(cell: FacedCell, others: Sequence[FacedCell]) -> str:
    """Return an attack with what sets it apart from the nearest one on the other side."""
    namesakes = [other for other in others if (other.name, other.eps) == (cell.name, cell.eps)]
    if not namesakes:
        return f"{cell.name} by {cell.toolkit}"
    fewest = min((_differences(cell, other) for other in namesakes), key=len)
    return f"{cell.name} {', '.join(fewest)}"


def _differences(cell: FacedCell, other: FacedCell) -> list[str]:
    toolkit = [] if cell.toolkit == other.toolkit else [f"by {cell.toolkit}"]
    parameters = [
        f"{name} {cell.parameters.get(name, 'the default')}, not {other.parameters.get(name, 'the default')}"
        for name in sorted({*cell.parameters, *other.parameters})
        if str(cell.parameters.get(name)) != str(other.parameters.get(name))
    ]
    return [*toolkit, *parameters] or [f"through {cell.surface}"]

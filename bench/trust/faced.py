"""Which attacks both sides of a comparison faced, and which side was attacked harder where they differ.

Two cells are the same attack if name, toolkit, radius and all parameters are equal; the surface must be
the same where both models are of one family and both have it, else each model is climbed through its
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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench.spec import number

#: Parameters of which more makes an attack no weaker.
BUDGETS = (
    "steps", "queries", "restarts", "population", "generations", "search_steps", "scan", "targets",
    "eot", "apgd_t", "fab_t",
)  # fmt: skip

Harder = Literal["", "left", "right", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faced:
    """The cells of both sides that a comparison is made of.

    Attributes:
        left: keys of the cells on the left; all that count where the sides are unequal.
        right: on the right.
        harder: the side that was attacked harder; empty where both were attacked alike.
        why: what one side faced and the other did not, where they were not.
        left_out: attacks left out since only one side faced them; empty where there are none.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    harder: Harder = ""
    why: str = ""
    left_out: str = ""

    def said(self) -> str:
        """Return what is to be said of attacks that one side alone faced; empty where there are none."""
        if self.harder:
            more = "neither side" if self.harder == "neither" else self.harder
            return f"unequal attacks, {more} attacked harder: {self.why}"
        return f"left out, since one side alone faced it: {self.left_out}" if self.left_out else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
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
) -> Faced:
    """Return what both sides faced; see the head of this file.

    Args:
        left: rows of `Results.cells` that attacked the model on the left, of one norm.
        right: those of the model on the right.
        surfaces: all surfaces through which the run attacks the left model, and the right one.
        radius: the one that is compared; NaN where radii are measured. Cells of another one count
            where both sides have the same, and are passed over elsewhere.
    """
    aimed = _eps(radius)
    mine, theirs = _cells(left), _cells(right)
    beside = [
        (one, other)
        for one in mine
        for other in theirs
        if one.name == other.name and _through_alike(one, other, surfaces)
    ]
    same = [pair for pair in beside if _covers(*pair) and _covers(*reversed(pair))]
    met = {one.key for pair in same for one in pair}
    shared = {(one.name, one.eps) for one, _ in same}

    def counts(one: _Cell) -> bool:
        alone = one.eps in (None, aimed) and (one.name, one.eps) not in shared
        return one.key in met or alone

    used, against = ([one for one in side if counts(one)] for side in (mine, theirs))
    harder, why = _harder(used, against, beside)
    dropped = [
        _said(one, others)
        for side, others in ((mine, theirs), (theirs, mine))
        for one in side
        if one.eps in (None, aimed) and not counts(one)
    ]
    return Faced(
        left=tuple(one.key for one in used),
        right=tuple(one.key for one in against),
        harder=harder,
        why=why,
        left_out=", ".join(dict.fromkeys(dropped)),
    )


def _through_alike(one: _Cell, other: _Cell, surfaces: tuple[Collection[str], ...]) -> bool:
    """Return whether a left and a right cell climb the same surface, so far as both models have it."""
    both = one.surface in surfaces[1] and other.surface in surfaces[0]
    return one.family != other.family or not both or one.surface == other.surface


def _harder(
    mine: Sequence[_Cell], theirs: Sequence[_Cell], beside: Sequence[tuple[_Cell, _Cell]]
) -> tuple[Harder, str]:
    """Return which side was attacked harder, and by what."""
    counted = {one.key for one in (*mine, *theirs)}
    beside = [pair for pair in beside if {one.key for one in pair} <= counted]
    covered = {other.key for one, other in beside if _covers(one, other)}
    covered |= {one.key for one, other in beside if _covers(other, one)}
    more = [one for one in mine if one.key not in covered]
    more_right = [one for one in theirs if one.key not in covered]
    if more and more_right:
        return "neither", f"left {_said(more[0], theirs)}, right {_said(more_right[0], mine)}"
    if more:
        return "left", _said(more[0], theirs)
    return ("right", _said(more_right[0], mine)) if more_right else ("", "")


def _cells(frame: pd.DataFrame) -> list[_Cell]:
    found = []
    for cell in frame.to_dict("records"):
        parameters: Mapping[str, Any] = cell["parameters"]
        eps = _eps(cell["radius"])
        fixed = sorted(
            (name, str(said)) for name, said in parameters.items() if name not in BUDGETS
        )
        found.append(
            _Cell(
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
        )
    return found


def _eps(radius: float) -> str | None:
    return None if math.isnan(radius) else f"{radius:.6g}"


def _amount(value: Any, name: str) -> float:
    return float(value) if isinstance(value, bool) else number(value, name)


def _covers(one: _Cell, other: _Cell) -> bool:
    """Return whether an attack is the other but for budgets, of which it has as much or more."""
    if one.fixed != other.fixed or one.budgets.keys() != other.budgets.keys():
        return False
    return all(one.budgets[name] >= least for name, least in other.budgets.items())


def _said(one: _Cell, others: Sequence[_Cell]) -> str:
    """Return an attack by what sets it apart from the nearest one on the other side."""
    namesakes = [other for other in others if (other.name, other.eps) == (one.name, one.eps)]
    if not namesakes:
        return f"{one.name} by {one.toolkit}"
    least = min((_differing(one, other) for other in namesakes), key=len)
    return f"{one.name} {', '.join(least)}"


def _differing(one: _Cell, other: _Cell) -> list[str]:
    said = [] if one.toolkit == other.toolkit else [f"by {one.toolkit}"]
    said += [
        f"{name} {one.parameters.get(name, 'none')}, not {other.parameters.get(name, 'none')}"
        for name in sorted({*one.parameters, *other.parameters})
        if str(one.parameters.get(name)) != str(other.parameters.get(name))
    ]
    return said or [f"through {one.surface}"]

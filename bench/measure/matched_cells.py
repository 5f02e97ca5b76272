"""Which cell of a run is which cell of another: by what they are, since keys change with weights and seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bench.store.identity import canonical_json

Cell = Mapping[Hashable, Any]

#: What a cell is, beside its radius and its parameters.
_IS = ("model", "attack", "norm", "toolkit", "surface", "crafted_on", "goal", "kind")


class Match(NamedTuple):
    """The same cell of two runs, as rows of `Results.cells`; None where a run does not have it.

    Attributes:
        note: of a cell that one run alone has, what tells it from the one that is nearest in the other; may be
            empty.
    """

    a: Cell | None
    b: Cell | None
    note: str = ""

    @property
    def either(self) -> Cell:
        """Return the cell of the run that has it, of the first where both do."""
        found = self.b if self.a is None else self.a
        assert found is not None
        return found


def matched_cells(a: pd.DataFrame, b: pd.DataFrame) -> list[Match]:
    """Return the cells of two runs side by side: those of the first in their order, then the others.

    Cells are the same if model, attack, norm, radius (to six digits), parameters, toolkit, surface, goal
    and kind are. Of several that are, as where a suite has one attack twice, those of one batch size are
    put together, then as they come.

    Args:
        a: `Results.cells` of the first run.
        b: of the second.
    """
    left: list[Cell] = [*a.to_dict("records")]
    right: list[Cell] = [*b.to_dict("records")]
    pairs: list[tuple[Cell, Cell]] = []
    for key in (_with_batch_size, _with_parameters):
        found = _paired(left, right, key)
        pairs += found
        left = _without(left, [one for one, _ in found])
        right = _without(right, [other for _, other in found])
    of_left, of_right = _nearest(left, right)
    matches = [
        *(Match(one, other) for one, other in pairs),
        *(Match(one, None, of_left.get(str(one["cell"]), "")) for one in left),
    ]
    place = {cell: turn for turn, cell in enumerate(a["cell"])}
    matches.sort(key=lambda match: place[match.either["cell"]])
    return [
        *matches,
        *(Match(None, other, of_right.get(str(other["cell"]), "")) for other in right),
    ]


def _same_but_for_parameters(cell: Cell) -> tuple[str, ...]:
    radius = f"{cell['radius']:.6g}"  # nan without one
    return (*(str(cell[name]) for name in _IS), radius)


def _with_parameters(cell: Cell) -> tuple[str, ...]:
    return (*_same_but_for_parameters(cell), canonical_json(_in_text(cell["parameters"])))


def _with_batch_size(cell: Cell) -> tuple[str, ...]:
    return (*_with_parameters(cell), str(cell["batch_size"]))


def _in_text(parameters: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in parameters.items()}


def _paired(
    left: Sequence[Cell], right: Sequence[Cell], key: Callable[[Cell], tuple[str, ...]]
) -> list[tuple[Cell, Cell]]:
    """Return the cells of both sides that have the same key, in their order."""
    waiting = defaultdict(list)
    for other in right:
        waiting[key(other)].append(other)
    found = []
    for one in left:
        if alike := waiting[key(one)]:
            found.append((one, alike.pop(0)))
    return found


def _without(cells: Sequence[Cell], taken: Sequence[Cell]) -> list[Cell]:
    gone = {cell["cell"] for cell in taken}
    return [cell for cell in cells if cell["cell"] not in gone]


def _nearest(left: Sequence[Cell], right: Sequence[Cell]) -> tuple[dict[str, str], dict[str, str]]:
    """Return, by key, in what cells differ from the one on the other side whose parameters are nearest.

    That has the fewest other values; where two have as few, it is not known which is meant.
    """
    return _differing_from(left, right, "B"), _differing_from(right, left, "A")


def _differing_from(
    cells: Sequence[Cell], others: Sequence[Cell], other_run: str
) -> dict[str, str]:
    alike = defaultdict(list)
    for other in others:
        alike[_same_but_for_parameters(other)].append(other)
    found = {}
    for one in cells:
        near = alike[_same_but_for_parameters(one)]
        counts = [len(_other_values(one, other)) for other in near]
        if near and counts.count(min(counts)) == 1:
            nearest = near[counts.index(min(counts))]
            found[str(one["cell"])] = _differing(one, nearest, other_run)
    return found


def _other_values(one: Cell, other: Cell) -> list[str]:
    """Return the names of the parameters in which two cells differ."""
    mine, theirs = _in_text(one["parameters"]), _in_text(other["parameters"])
    return sorted(name for name in mine | theirs if mine.get(name) != theirs.get(name))


def _differing(one: Cell, other: Cell, other_run: str) -> str:
    mine, theirs, names = (
        _in_text(one["parameters"]),
        _in_text(other["parameters"]),
        _other_values(one, other),
    )
    parts = (
        f"{name} {mine.get(name, 'not given')}, in {other_run} {theirs.get(name, 'not given')}"
        for name in names
    )
    return "; ".join(parts)

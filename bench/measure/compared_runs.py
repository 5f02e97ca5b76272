"""Two runs compared: what changed in each cell and for each model, and what was not the same when they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.errors import PrerequisiteError, SpecError
from bench.measure.compared_cells import compare_cells
from bench.measure.compared_models import compare_models
from bench.measure.made_differently import (
    IMAGES,
    Differing,
    differing_identity,
    made_differently,
)
from bench.measure.matched_cells import Cell, matched_cells
from bench.measure.outcomes import Outcomes
from bench.measure.paired_runs import (
    BETTER,
    COMPARED,
    NO_RESULT_IN_A,
    NO_RESULT_IN_B,
    OTHER_IMAGES,
    SAME,
    WORSE,
)
from bench.store.results import Results

#: All that the verdict on two runs can be.
ALL_SAME, BY_NOISE, DIFFERS = "same", "differs by noise", "differs"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Comparison:
    """Two runs, A and B, compared on the images that both have.

    Attributes:
        cells: a row a cell that either run asked for; see `bench.measure.compared_cells.ComparedCells`.
        models: the clean accuracy of each model and its robust accuracy under each threat; see
            `bench.measure.compared_models.compare_models`.
        made: what was not the same when the runs were made; see `made_differently`.
        notes: what a reader has to know of both runs, a line each.
    """

    cells: pd.DataFrame
    models: pd.DataFrame
    made: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Return `same`, `differs by noise` or `differs`.

        `same` if all rows of the cells that both runs have are equal; `differs` if something is significantly
        worse or better in B, or has a result that counts in one run alone though both asked for it.
        """
        changes = {*self.cells["change"], *self.models["change"]}
        if changes & {WORSE, BETTER, NO_RESULT_IN_A, NO_RESULT_IN_B}:
            return DIFFERS
        return BY_NOISE if changes & {*COMPARED} - {SAME} else ALL_SAME

    def changed(self, change: str) -> tuple[str, ...]:
        """Return the models of which something changed so: `worse`, `better`, `no result in B`."""
        of_cells, of_models = (
            frame.loc[frame["change"] == change, "model"] for frame in (self.cells, self.models)
        )
        return tuple(dict.fromkeys([*of_models, *of_cells]))


def compare_runs(a: Results, b: Results) -> Comparison:
    """Return two runs compared, cell by cell and model by model, on the images that both have.

    Cells are matched by what they are, not by their keys, which change with weights, seed and images
    (`bench.measure.matched_cells`); the tests are explained in `bench.measure.paired_runs`.

    Args:
        a: the run to compare with.
        b: the run that may be better or worse.

    Raises:
        PrerequisiteError: a run has no finished cell.
        SpecError: the runs have no cell, or no image, in common.
    """
    # What checks called for in one run tells nothing of the other.
    a, b = a.without_added(), b.without_added()
    for side, run in (("A", a), ("B", b)):
        if run.rows.empty:
            raise PrerequisiteError(
                f"{side}, run {run.run} of {run.suite}, has no finished cell to compare; the command that "
                f"started it goes on where it stopped"
            )
    matches = [
        (match, differing_identity(_identity(a, match.a), _identity(b, match.b)))
        for match in matched_cells(a.cells, b.cells)
    ]
    both = [(match, differing) for match, differing in matches if match.a and match.b]
    if not both:
        raise SpecError(
            f"no cell of A, run {a.run} of {a.suite}, is one of B, run {b.run} of {b.suite}: other models, or "
            f"other attacks"
        )
    first, second = Outcomes(a), Outcomes(b)
    cells = compare_cells(first, second, matches)
    shared = cells.frame[cells.frame["cell_a"].notna() & cells.frame["cell_b"].notna()]
    if (shared["change"] == OTHER_IMAGES).all():
        raise SpecError(
            f"A, run {a.run}, and B, run {b.run}, of {b.suite} have no image in common: the data, the split or "
            f"the content of the data set differs"
        )
    return Comparison(
        cells=cells.frame,
        models=compare_models(first, second, cells),
        made=made_differently(a, b, both),
        notes=tuple(_notes(a, b, cells.frame, [differing for _, differing in both])),
    )


def _identity(results: Results, cell: Cell | None) -> Mapping[str, Any]:
    """Return the identity recorded of a finished cell; empty where there is none."""
    record = None if cell is None else results.store.record(str(cell["cell"]))
    return (record or {}).get("identity") or {}


def _notes(
    a: Results, b: Results, cells: pd.DataFrame, differing: Sequence[Differing]
) -> Iterator[str]:
    if a.content is not None and b.content is not None and a.content != b.content:
        yield "the suite has other content in B than in A: the cells that both have are compared"
    for side, run in (("A", a), ("B", b)):
        waiting, planned = int((run.cells["status"] == "missing").sum()), len(run.cells)
        if waiting:
            yield f"{side} is unfinished: {waiting} of {planned} cells did not run yet"
    for side, run, other in (("A", a, b), ("B", b, a)):
        for line in run.left_out:
            if line not in other.left_out:
                yield f"left out in {side} alone: {line}"
    counts = dict.fromkeys(one[IMAGES] for one in differing if IMAGES in one)
    for left, right in counts:
        yield f"A has {left} images and B {right}: those that both have are compared"
    others = int((cells["change"] == OTHER_IMAGES).sum())
    if others:
        yield f"{others} of {len(differing)} cells are of other images in B, and not compared"

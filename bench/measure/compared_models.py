"""The models of two runs compared: clean accuracy, and the worst case under each threat.

Both sides face the same attacks on the same images: what one run alone has does not count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.measure.compared_cells import ComparedCells
from bench.measure.headline import clean_shares, worst_case
from bench.measure.outcomes import Outcomes, WorstCase
from bench.measure.paired_runs import (
    COMPARED,
    NO_RESULT,
    NO_RESULT_IN_A,
    NO_RESULT_IN_B,
    OTHER_IMAGES,
    SAME,
    Paired,
    adjusted,
    change_of,
    paired,
)
from bench.measure.statistics import paired_difference
from bench.measure.threats import same_radius, threats_by_data
from bench.spec import MINIMAL, number

#: What is compared of a model.
CLEAN, WORST = "clean accuracy", "robust accuracy"

_TYPES = {
    "model": "str", "figure": "str", "norm": "str", "eps": "str", "change": "str", "n": "Int64",
    "a": "float64", "b": "float64", "difference": "float64", "low": "float64", "high": "float64",
    "worse_on": "Int64", "better_on": "Int64", "p": "float64", "adjusted_p": "float64", "note": "str",
}  # fmt: skip


def compare_models(a: Outcomes, b: Outcomes, cells: ComparedCells) -> pd.DataFrame:
    """Return the figures of the models of two runs compared.

    Args:
        a: the first run.
        b: the second.
        cells: those of both, compared.

    Returns:
        A row for the clean accuracy of each model, and one for its robust accuracy under each threat, the worst
        case over the attacks that have a result in both runs: `model, figure, norm, eps` (text; empty for the
        clean accuracy), `change` (see `bench.measure.paired_runs`), `n` (images), `a, b` (shares), `difference`
        (b - a) with `low, high` (95 %; null for a random model, whose images count in shares), `worse_on,
        better_on` (images), `p, adjusted_p`, `note`. Numbers are null where nothing was compared.
    """
    change = cells.frame["change"]
    on_clean = _sides(a, b, cells, change != OTHER_IMAGES)
    under_attack = _sides(a, b, cells, change.isin(COMPARED))
    rows: list[dict[str, Any]] = []
    tests: dict[int, Paired] = {}
    for model in on_clean[0].clean:
        of_model = cells.frame[cells.frame["model"] == model]
        figures = [_clean(on_clean, model), *_worst((a, b), under_attack, of_model, model)]
        for named, left, right in figures:
            row = {"model": model, "note": "", **named}
            if left is not None and right is not None:
                tests[len(rows)] = test = paired(left, right)
                row |= _shares(left, right, test)
            rows.append(row)
    for turn, level in zip(tests, adjusted(list(tests.values())), strict=True):
        change_here = rows[turn].get("change") or change_of(tests[turn], level)
        rows[turn] |= {"adjusted_p": level, "change": change_here}
    return pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)


Sides = tuple[Outcomes, Outcomes]


class _Figure(NamedTuple):
    """What is compared of a model, and of each run by image whether it counts.

    For a random model that is the share of its draws; it is None where a run has no figure.
    """

    named: dict[str, Any]
    a: pd.Series[float] | None
    b: pd.Series[float] | None


def _sides(a: Outcomes, b: Outcomes, cells: ComparedCells, taken: pd.Series[bool]) -> Sides:
    """Return both runs with some cells alone, each on the images that both runs have of it."""
    kept = [
        (turn, images)
        for turn, images in enumerate(cells.images)
        if taken.iloc[turn] and len(images)
    ]
    return _only(a, cells.frame["cell_a"], kept), _only(b, cells.frame["cell_b"], kept)


def _only(
    outcomes: Outcomes, keys: pd.Series[str], kept: Collection[tuple[int, pd.Index[Any]]]
) -> Outcomes:
    results = outcomes.results
    wanted = np.zeros(len(results.rows), dtype=bool)
    image, places = results.rows["index"].to_numpy(), results.rows.groupby("cell").indices
    for turn, images in kept:
        of_cell = places[keys.iloc[turn]]
        wanted[of_cell[np.isin(image[of_cell], images)]] = True
    rows = results.rows[wanted].reset_index(drop=True)
    cells = results.cells[results.cells["cell"].isin(set(rows["cell"]))]
    return Outcomes(dataclasses.replace(results, cells=cells, rows=rows))


def _clean(sides: Sides, model: str) -> _Figure:
    """Return which clean images a model gets right."""
    found = []
    for side in sides:
        cells = side.results.cells
        group = side.group(cells.loc[cells["model"] == model, "cell"])
        found.append(clean_shares(group, side.clean[model]))
    return _Figure({"figure": CLEAN}, found[0], found[1].loc[found[0].index])


def _worst(runs: Sides, counted: Sides, cells: pd.DataFrame, model: str) -> Iterator[_Figure]:
    """Yield which images withstand all attacks on a model, under each threat that both runs have.

    Args:
        runs: both runs.
        counted: their cells that have a result in both runs, on the images of both.
        cells: those of the model, compared.
        model: its title.
    """
    a = runs[0]
    data = next(str(one["data"]) for one in a.results.models if one["model"] == model)
    for threat in threats_by_data(a.results, a.cells)[data].to_dict("records"):
        norm, eps = threat["norm"], threat["radius"]
        there = cells[(cells["norm"] == norm) & _at(cells, eps)]
        in_both = there["cell_a"].notna() & there["cell_b"].notna()
        if not (in_both & (there["kind"] != MINIMAL)).any():
            continue  # of this threat one run alone has an attack
        worst = [worst_case(run, model, norm, eps) for run in counted]
        left, right = (_robust(one) for one in worst)
        named = {"figure": WORST, "norm": norm, "eps": threat["eps"], "note": _note(there, worst)}
        if left is None and right is None:
            # Without an attack that has a result in both runs, one may still have a figure of its own.
            alone = [worst_case(run, model, norm, eps) for run in runs]
            change = _which_lacks(*(_robust(one) is None for one in alone))
            if any(one is not None for one in (*worst, *alone)):
                yield _Figure(named | {"change": change}, None, None)
        elif left is None or right is None:
            change = _which_lacks(left is None, right is None)
            yield _Figure(named | {"change": change}, None, None)
        else:
            both = left.index.intersection(right.index)
            yield _Figure(named, left.loc[both], right.loc[both])


def _robust(worst: WorstCase | None) -> pd.Series[float] | None:
    return None if worst is None or worst.invalid else worst.robust


def _which_lacks(a: bool, b: bool) -> str:
    """Return which run lacks a result that the other may have."""
    return NO_RESULT if a == b else NO_RESULT_IN_A if a else NO_RESULT_IN_B


def _at(cells: pd.DataFrame, eps: float) -> pd.Series[bool]:
    """Return which cells attack at a radius: those of that radius, and those that look for the nearest image."""
    radii = pd.Series(
        [number(text) if isinstance(text, str) else np.nan for text in cells["eps"]], cells.index
    )
    return same_radius(radii, eps) | (cells["kind"] == MINIMAL)


def _note(cells: pd.DataFrame, worst: Sequence[WorstCase | None]) -> str:
    """Return how many of the attacks of a threat do not count, and on how many images none was valid."""
    left_out = int((~cells["change"].isin(COMPARED)).sum())
    notes = [f"without {left_out} of {len(cells)} attacks"] if left_out else []
    for side, one in zip("AB", worst, strict=True):
        notes += [f"{note} in {side}" for note in (one.notes if one else [])]
    return "; ".join(notes)


def _shares(left: pd.Series[float], right: pd.Series[float], test: Paired) -> dict[str, Any]:
    """Return two shares of the same images, and how they differ."""
    a, b = float(left.mean()), float(right.mean())
    row = {**test._asdict(), "a": a, "b": b, "difference": b - a}
    if np.array_equal(left, right):
        row["change"] = SAME
    if left.isin([0, 1]).all() and right.isin([0, 1]).all():
        _, (low, high) = paired_difference(test.better_on, test.worse_on, test.n)
        row |= {"low": low, "high": high}
    return row

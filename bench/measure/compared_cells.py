"""The cells of two runs compared, each on the images that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.measure.made_differently import Differing, are_other_images
from bench.measure.matched_cells import Cell, Match
from bench.measure.outcomes import Outcomes, broken
from bench.measure.paired_runs import (
    NO_RESULT,
    NO_RESULT_IN_A,
    NO_RESULT_IN_B,
    ONLY_A,
    ONLY_B,
    OTHER_IMAGES,
    SAME,
    UNTESTED,
    Paired,
    adjusted,
    change_of,
    paired,
)
from bench.spec import ATTACKING, COLUMNS, FIXED, MINIMAL, measuring
from bench.store.chosen import asks_for_as_much
from bench.store.results import Results

#: The columns that say what was found: no keys, and nothing that follows from a key or a clock.
_FOUND = [name for name in COLUMNS if name not in ("cell", "index", "seed", "seconds")]

_NAMED = (
    "model", "attack", "norm", "eps", "toolkit", "surface", "crafted_on", "goal", "kind", "parameters",
)  # fmt: skip
_TYPES = {
    "change": "str", "n": "Int64", "figure": "str", "a": "float64", "b": "float64", "successes_a": "Int64",
    "successes_b": "Int64", "worse_on": "Int64", "better_on": "Int64", "p": "float64",
    "adjusted_p": "float64", "rows_differ": "Int64", "columns": "str", "made_differently": "str", "note": "str",
}  # fmt: skip

#: What cells are compared by.
ROBUST, DISTANCE, CERTIFIED = "robust images", "median distance", "median certified radius"

_NONE: pd.Index[Any] = pd.Index([], dtype="int64")


class ComparedCells(NamedTuple):
    """The cells of two runs compared.

    Attributes:
        frame: a row a cell that either run asked for: what it is (as in `Results.cells`), `cell_a, cell_b`
            (its keys; null where a run does not have it), `change` (see `bench.measure.paired_runs`), `n`
            (images compared), `figure` (what `a` and `b` are: how many images are robust, or a median of
            them all, to which an image that the model gets wrong adds 0), `a, b`, `successes_a,
            successes_b` (images on which the attack reached its goal), `worse_on, better_on` (images),
            `p, adjusted_p`, `rows_differ` (how many) and `columns` (in which columns; `cell`, `seed` and
            `seconds` do not count), `made_differently` (in what their identities differ), `note`. Numbers are null
            where nothing was compared.
        images: of each, the images that both runs have; empty where nothing was compared.
    """

    frame: pd.DataFrame
    images: list[pd.Index[Any]]


def compare_cells(
    a: Outcomes, b: Outcomes, matches: Sequence[tuple[Match, Differing]]
) -> ComparedCells:
    """Return the cells of two runs compared.

    A cell of a fixed budget is compared by whether images are robust, one that looks for the nearest image
    by the distance at which it breaks them, a certificate by its radius.

    Args:
        a: the first run.
        b: the second.
        matches: the cells of both, each with what its identities differ in.
    """
    shared = _shared_rows(a.results.rows, b.results.rows, matches)
    why = _without_result(a), _without_result(b)
    asked = _asked_as_much(a.results, b.results), _asked_as_much(b.results, a.results)
    rows, tests = [], {}
    for turn, (match, differing) in enumerate(matches):
        row = _named(match, differing) | (
            _alone(match, asked) if None in match[:2] else _state(match, shared.get(turn), why)
        )
        if turn in shared:
            found, test = _figures(a, b, match, shared[turn].images)
            row |= {**shared[turn].counts, **found}
            if test is not None and row["change"] in ("", SAME):
                tests[turn] = test
            row["change"] = row["change"] or ("" if test else UNTESTED)
        rows.append(row)
    for turn, level in zip(tests, adjusted(list(tests.values())), strict=True):
        change = rows[turn]["change"] or change_of(tests[turn], level)
        rows[turn] |= {"adjusted_p": level, "change": change}
    frame = pd.DataFrame(rows, columns=[*_NAMED, "cell_a", "cell_b", *_TYPES])
    images = [shared[turn].images if turn in shared else _NONE for turn in range(len(matches))]
    return ComparedCells(frame.astype(_TYPES), images)


def _named(match: Match, differing: Differing) -> dict[str, Any]:
    """Return what a cell is, where it is stored, and in what its identities differ."""
    row: dict[str, Any] = dict.fromkeys(("figure", "columns"), "")
    row |= {name: match.either[name] for name in _NAMED}
    row |= {"cell_a": match.a and match.a["cell"], "cell_b": match.b and match.b["cell"]}
    return row | {"made_differently": ", ".join(differing)}


class _Shared(NamedTuple):
    """The images that a cell has in both runs, and counts of their rows."""

    images: pd.Index[Any]
    counts: Mapping[str, Any]


def _shared_rows(
    a: pd.DataFrame, b: pd.DataFrame, matches: Sequence[tuple[Match, Differing]]
) -> dict[int, _Shared]:
    """Return what the rows of the cells that are done in both runs share; none where images are others.

    Args:
        a: rows of the first run.
        b: of the second.
        matches: as in `compare_cells`; what is returned is by the place in it.
    """
    left, right = (
        _by_match(rows, cells)
        for rows, cells in (
            (a, [match.a for match, _ in matches]),
            (b, [match.b for match, _ in matches]),
        )
    )
    both = left.index.intersection(right.index)
    left, right = left.loc[both], right.loc[both]
    unequal = pd.DataFrame({name: _unequal(left[name], right[name]) for name in _FOUND})
    found = {}
    for place, at in unequal.groupby(level="match").indices.items():
        turn = int(str(place))
        of_cell = unequal.iloc[at]
        if are_other_images(matches[turn][1]) or of_cell["label"].any():
            continue
        columns = of_cell.any()
        found[turn] = _Shared(both[at].get_level_values("index"), {
            "n": len(at),
            "successes_a": int(left["success"].iloc[at].sum()),
            "successes_b": int(right["success"].iloc[at].sum()),
            "rows_differ": int(of_cell.any(axis=1).sum()),
            "columns": ", ".join(columns.index[columns]),
        })  # fmt: skip
    return found


def _by_match(rows: pd.DataFrame, cells: Sequence[Cell | None]) -> pd.DataFrame:
    """Return rows indexed by the place of their cell in a list, as `match`, and by image, as `index`."""
    places = {cell["cell"]: turn for turn, cell in enumerate(cells) if cell}
    rows = rows.assign(match=rows["cell"].map(places))
    rows = rows[rows["match"].notna()].astype({"match": "int64"})
    return rows.set_index(["match", "index"])


def _unequal(left: pd.Series[Any], right: pd.Series[Any]) -> pd.Series[bool]:
    """Return where two columns differ; two nulls are equal."""
    differs = left.ne(right).fillna(True).astype(bool)
    return differs & ~(left.isna() & right.isna())


def _without_result(outcomes: Outcomes) -> dict[str, str]:
    """Return why cells have no result that counts, by key; none where they have."""
    cells, attacking = outcomes.results.cells, outcomes.cells
    flags = attacking.loc[attacking["flag"] != ""].set_index("cell")["flag"]
    why = {str(cell): flag.removeprefix("INVALID: ") for cell, flag in flags.items()}
    for cell in cells[cells["status"] != "done"].to_dict("records"):
        ran = "did not run yet" if cell["status"] == "missing" else f"did not run: {cell['error']}"
        why.setdefault(str(cell["cell"]), ran)
    return why


def _asked_as_much(results: Results, other: Results) -> bool:
    """Return whether a run is known to have asked for all cells of another."""
    same_suite = results.content is not None and results.content == other.content
    return same_suite and asks_for_as_much(results.asked, other.asked)


def _alone(match: Match, asked: tuple[bool, bool]) -> dict[str, str]:
    """Return the change of a cell that one run alone has, and a note.

    Where the other asked for it and has none that is like it, it was left out there: its model could not be
    loaded, or its toolkit is not installed.

    Args:
        match: the cell.
        asked: of each run, whether it asked for all that the other did.
    """
    lacking = 0 if match.a is None else 1
    if asked[lacking] and not match.note:
        note = f"in {'AB'[lacking]}: left out"
        return {"change": (NO_RESULT_IN_A, NO_RESULT_IN_B)[lacking], "note": note}
    return {"change": (ONLY_B, ONLY_A)[lacking], "note": match.note}


def _state(
    match: Match, shared: _Shared | None, why: tuple[Mapping[str, str], Mapping[str, str]]
) -> dict[str, str]:
    """Return the change of a cell that both runs have, empty if it is to be tested, and a note."""
    assert match.a is not None
    assert match.b is not None
    if shared is not None and not shared.counts["rows_differ"]:
        return {"change": SAME, "note": ""}
    lacking_a, lacking_b = (
        of_run.get(str(cell["cell"]), "")
        for of_run, cell in zip(why, (match.a, match.b), strict=True)
    )
    if lacking_a or lacking_b:
        one_side = NO_RESULT_IN_B if lacking_b else NO_RESULT_IN_A
        sides = (("A", lacking_a), ("B", lacking_b))
        return {
            "change": NO_RESULT if lacking_a and lacking_b else one_side,
            "note": "; ".join(f"in {side}: {lacking}" for side, lacking in sides if lacking),
        }
    return {"change": "" if shared is not None else OTHER_IMAGES, "note": ""}


def _figures(
    a: Outcomes, b: Outcomes, match: Match, images: pd.Index[Any]
) -> tuple[dict[str, Any], Paired | None]:
    """Return what a cell is compared by on some images, with the test; nothing for rows of other kinds."""
    assert match.a is not None
    assert match.b is not None
    figures = {FIXED: ROBUST, MINIMAL: DISTANCE}
    figures |= dict.fromkeys(measuring("certified_radius"), CERTIFIED)
    figure = figures.get(str(match.a["kind"]))
    if figure is None:
        return {}, None
    left, right = (
        _by_image(outcomes, cell).loc[images] for outcomes, cell in ((a, match.a), (b, match.b))
    )
    test = paired(left, right)
    whole = {
        side: float(values.sum() if figure == ROBUST else values.clip(lower=0).median())
        for side, values in (("a", left), ("b", right))
    }
    return {"figure": figure, **whole, **test._asdict()}, test


def _by_image(outcomes: Outcomes, cell: Cell) -> pd.Series[float]:
    """Return the number of each image that a cell is compared by; more is better."""
    key = str(cell["cell"])
    if cell["kind"] not in ATTACKING:
        return outcomes.certified_radii[key]
    distances = outcomes.break_distances[key]
    if cell["kind"] == MINIMAL:
        return distances
    lost = broken(np.asarray(distances, dtype=np.float64), cell["radius"])
    return pd.Series(np.where(lost, 0.0, 1.0), index=distances.index)

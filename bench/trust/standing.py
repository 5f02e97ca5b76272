"""Which images stand on each side of a comparison: on the clean images, and under attack.

What counts as standing is the rule of the headline (`bench.measure.falls`); which attacks count on
both sides is that of `bench.trust.faced`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.measure.falls import (
    broken,
    clean_answers,
    fall_distances,
    label_changing,
    shortfall,
    side_by_side,
    tried_by_all,
    unseen_noise,
)
from bench.spec import Claim
from bench.store.results import Results
from bench.trust.faced import Faced, faced

_NOTHING: pd.Series[bool] = pd.Series(dtype=bool)


class Run(NamedTuple):
    """What is looked up again and again, computed once.

    Attributes:
        cells: by model and norm, the checked cells of attacks that try to take the right answer
            away.
        clean: by model, whether it gets each image right.
        falls: by model and norm, the distance at which each image falls to each cell.
        surfaces: by model, all those through which the run attacks it.
    """

    cells: dict[tuple[str, str], pd.DataFrame]
    clean: dict[str, pd.Series[bool]]
    falls: dict[tuple[str, str], pd.DataFrame]
    surfaces: dict[str, frozenset[str]]


class Side(NamedTuple):
    """Which images stand on a side of a comparison.

    Attributes:
        stands: by image.
        whole: likewise, after the attacks, too, that this side alone faced.
        why: why neither can be told; empty where they can.
        said: what the attacks may not have seen of the model, or which are missing.
    """

    stands: pd.Series[bool]
    whole: pd.Series[bool]
    why: str = ""
    said: str = ""


class Sides(NamedTuple):
    """Both sides of a comparison, and the attacks that both faced."""

    left: Side
    right: Side
    met: Faced


def measure(results: Results, wanted: Collection[tuple[str, str]]) -> Run:
    """Return what is known of models and norms; of a run without claims nothing is looked up."""
    if not wanted:
        return Run({}, {}, {}, {})
    named = [
        "cell", "model", "family", "norm", "attack", "toolkit", "surface", "radius", "words", "kind",
        "flag",
    ]  # fmt: skip
    every = label_changing(results)[named]  # texts that nobody reads make each look-up slow
    by_cell = fall_distances(results)
    cells, falls = {}, {}
    for model, norm in wanted:
        mine = every[(every["model"] == model) & (every["norm"] == norm)]
        cells[model, norm] = mine
        falls[model, norm] = side_by_side(by_cell, mine["cell"])
    climbed = {
        str(model): frozenset(mine) for model, mine in results.cells.groupby("model")["surface"]
    }
    return Run(cells, clean_answers(results), falls, climbed)


def on_clean(run: Run, titles: tuple[str, str]) -> Sides:
    """Return which clean images each model gets right."""
    left, right = (
        Side(run.clean[title], run.clean[title])
        if title in run.clean
        else _unknown("no cell of this model is done")
        for title in titles
    )
    return Sides(left, right, Faced(left=(), right=()))


def _unknown(why: str) -> Side:
    return Side(_NOTHING, _NOTHING, why)


def under_study(run: Run, claim: Claim, titles: tuple[str, str], radius: float) -> Sides:
    """Return which images stand after the attacks that the study made."""
    named = claim.attacks, claim.right_attacks or claim.attacks
    cells, absent = [], []
    for title, attacks in zip(titles, named, strict=True):
        mine = _aimed(run.cells[title, claim.norm], radius)
        mine = mine[mine["attack"].isin(attacks)]
        if claim.surfaces is not None:
            mine = mine[mine["surface"].isin(claim.surfaces)]
        through = f" through {', '.join(claim.surfaces)}" if claim.surfaces else ""
        missing = [attack for attack in attacks if attack not in set(mine["attack"])]
        absent.append(f"no {', '.join(missing)}{through} in this run" if missing else "")
        cells.append(mine)
    if any(absent):
        left, right = (_unknown(why) for why in absent)
        return Sides(left, right, Faced(left=(), right=()))
    if claim.right_attacks is None:
        met = faced(cells[0], cells[1], _surfaces(run, titles), radius)
    else:  # the attacks are what is compared
        met = Faced(left=tuple(cells[0]["cell"]), right=tuple(cells[1]["cell"]))
    left, right = (
        _studied(run.falls[title, claim.norm], mine, used, radius)
        for title, mine, used in zip(titles, cells, (met.left, met.right), strict=True)
    )
    return Sides(left, right, met)


def _studied(
    falls: pd.DataFrame, cells: pd.DataFrame, used: tuple[str, ...], radius: float
) -> Side:
    """Return which images stand after some cells of a study, of which those used count."""
    counted = cells[cells["cell"].isin(used)]
    why = shortfall(counted)
    if why:
        return _unknown(why)
    return Side(
        _standing(falls[list(used)], used, radius),
        _standing(falls[[cell for cell in cells["cell"] if cell in falls]], used, radius),
        said=unseen_noise(set(counted["surface"])),
    )


def under_strongest(run: Run, titles: tuple[str, str], norm: str, radius: float) -> Sides:
    """Return which images stand after every valid attack of the run that both sides faced."""
    every = [run.cells[title, norm] for title in titles]
    valid = [cells[cells["flag"] == ""] for cells in every]
    met = faced(valid[0], valid[1], _surfaces(run, titles), radius)
    sides = []
    for title, cells, mine, used in zip(titles, every, valid, (met.left, met.right), strict=True):
        falls = run.falls[title, norm]
        aimed = set(_aimed(mine, radius)["cell"])
        sides.append(
            Side(
                _standing(falls[list(used)], aimed.intersection(used), radius),
                _standing(falls, aimed, radius),
                said=shortfall(_aimed(cells, radius)),
            )
        )
    return Sides(sides[0], sides[1], met)


def _surfaces(run: Run, titles: tuple[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    return run.surfaces[titles[0]], run.surfaces[titles[1]]


def _aimed(cells: pd.DataFrame, radius: float) -> pd.DataFrame:
    """Return the cells that try a model at a radius: those of just this one and of minimal norm."""
    return cells[
        np.isclose(cells["radius"], radius, rtol=1e-6, atol=0) | (cells["kind"] == "minimal")
    ]


def _standing(falls: pd.DataFrame, cells: Iterable[str], radius: float) -> pd.Series[bool]:
    """Return which of the images that all of some cells have no cell broke within a radius."""
    falls = tried_by_all(falls, cells)
    return pd.Series(~broken(falls.to_numpy().min(axis=1), radius), index=falls.index)

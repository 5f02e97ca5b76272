"""Which images are robust on each side of a comparison: on the clean images, and under attack.

The rule of the headline (`bench.measure.outcomes`) says which images are robust, and on which no attack was
valid; `bench.trust.faced` says which attacks count on both sides.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from bench.measure.outcomes import Outcomes, WorstCase
from bench.measure.threats import same_radius
from bench.measure.validity import shortfall, unseen_noise
from bench.spec import Claim
from bench.trust.claim_run import ClaimRun
from bench.trust.faced import Faced, faced

_NO_IMAGES: pd.Series[bool] = pd.Series(dtype=bool)
_NO_ATTACKS = Faced(left=(), right=())


class Side(NamedTuple):
    """Which images are robust on a side of a comparison.

    Attributes:
        robust: by image, whether robust to the attacks that both sides faced.
        robust_to_all: by image, whether robust to these and to the attacks that only this side faced.
        required: keys of the cells that an image needs to be counted; empty on clean images.
        unknown: why neither is known; empty if they are.
        note: on noise that the attacks did not see, on missing attacks, and on images without a valid
            attack; may be empty.
    """

    robust: pd.Series[bool]
    robust_to_all: pd.Series[bool]
    required: tuple[str, ...] = ()
    unknown: str = ""
    note: str = ""


class Sides(NamedTuple):
    """Both sides of a comparison, and the attacks that both faced."""

    left: Side
    right: Side
    met: Faced


def on_clean(run: ClaimRun, titles: tuple[str, str]) -> Sides:
    """Return which clean images each model gets right."""
    left, right = (
        Side(run.outcomes.clean[title], run.outcomes.clean[title])
        if title in run.outcomes.clean
        else _unknown("no cell of this model is done")
        for title in titles
    )
    return Sides(left, right, _NO_ATTACKS)


def _unknown(why: str) -> Side:
    return Side(_NO_IMAGES, _NO_IMAGES, unknown=why)


def under_study(run: ClaimRun, claim: Claim, titles: tuple[str, str], radius: float) -> Sides:
    """Return which images are robust to the study's attacks."""
    by_side = (claim.attacks, claim.right_attacks or claim.attacks)
    cells, missing = [], []
    for title, attacks in zip(titles, by_side, strict=True):
        of_side = _made_by_study(run, claim, title, attacks, radius)
        absent = [attack for attack in attacks if attack not in set(of_side["attack"])]
        through = f" through {', '.join(claim.surfaces)}" if claim.surfaces else ""
        missing.append(f"no {', '.join(absent)}{through} in this run" if absent else "")
        cells.append(of_side)
    if any(missing):
        return Sides(_unknown(missing[0]), _unknown(missing[1]), _NO_ATTACKS)
    if claim.right_attacks is None:
        met = faced(cells[0], cells[1], _surfaces(run, titles), radius, run.faced_cells)
    else:  # the attacks are what is compared
        met = Faced(left=tuple(cells[0]["cell"]), right=tuple(cells[1]["cell"]))
    return Sides(
        _side_of_study(run.outcomes, cells[0], met.left, radius),
        _side_of_study(run.outcomes, cells[1], met.right, radius),
        met,
    )


def _made_by_study(
    run: ClaimRun, claim: Claim, title: str, attacks: tuple[str, ...], radius: float
) -> pd.DataFrame:
    """Return the cells of some attacks of the study on a model at a radius."""
    cells = _aimed(run.cells(title, claim.norm), radius)
    cells = cells[cells["attack"].isin(attacks) & cells["shows_robust"]]
    return cells if claim.surfaces is None else cells[cells["surface"].isin(claim.surfaces)]


def _side_of_study(
    outcomes: Outcomes, cells: pd.DataFrame, counted: tuple[str, ...], radius: float
) -> Side:
    """Return which images are robust to some cells of a study; `counted` are those both sides faced."""
    counted_cells = cells[cells["cell"].isin(counted)]
    why = shortfall(counted_cells)
    if why:
        return _unknown(why)
    worst = outcomes.group(counted).within(radius, counted)
    if worst.invalid:
        return _unknown(_join(*worst.notes))
    return Side(
        _robust(worst),
        _robust(outcomes.group(cells["cell"]).within(radius, counted)),
        required=counted,
        note=_join(unseen_noise(set(counted_cells["surface"])), *worst.notes),
    )


def under_strongest(run: ClaimRun, titles: tuple[str, str], norm: str, radius: float) -> Sides:
    """Return which images are robust to every valid attack of the run that both sides faced."""
    cells = [run.cells(title, norm) for title in titles]
    valid = [of_model[of_model["flag"] == ""] for of_model in cells]
    met = faced(valid[0], valid[1], _surfaces(run, titles), radius, run.faced_cells)
    left, right = (
        _side_of_strongest(run.outcomes, of_model, counted, radius)
        for of_model, counted in zip(cells, (met.left, met.right), strict=True)
    )
    return Sides(left, right, met)


def _side_of_strongest(
    outcomes: Outcomes, cells: pd.DataFrame, counted: tuple[str, ...], radius: float
) -> Side:
    """Return which images are robust to all valid cells of a model; `counted` are those both sides faced."""
    valid = cells[cells["flag"] == ""]
    aimed = _aimed(valid, radius)
    showing = set(aimed.loc[aimed["shows_robust"], "cell"])
    required = tuple(cell for cell in counted if cell in showing)
    if outcomes.results.added is not None:
        counted = required  # all images have to be attacked alike, added or not
    worst = outcomes.group(counted).within(radius, required)
    return Side(
        _robust(worst),
        _robust(outcomes.group(valid["cell"]).within(radius, showing)),
        required=required,
        note=_join(shortfall(_aimed(cells[cells["shows_robust"]], radius)), *worst.notes),
    )


def _surfaces(run: ClaimRun, titles: tuple[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    return run.surfaces[titles[0]], run.surfaces[titles[1]]


def _aimed(cells: pd.DataFrame, radius: float) -> pd.DataFrame:
    """Return the cells that attack within just this radius, and those of minimal norm."""
    return cells[same_radius(cells["radius"], radius) | (cells["kind"] == "minimal")]


def _robust(worst: WorstCase) -> pd.Series[bool]:
    """Return which images are robust; for a random model those that most of its draws get right."""
    return worst.robust > 0.5


def _join(*parts: str) -> str:
    """Return the parts that are not empty, separated by semicolons."""
    return "; ".join(part for part in parts if part)

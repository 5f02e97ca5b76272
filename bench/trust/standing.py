"""Which images stand on each side of a comparison: on the clean images, and under attack.

The rule of the headline (`bench.measure.outcomes`) says which images stand, and on which no attack was valid;
`bench.trust.faced` says which attacks count on both sides.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from bench.measure.outcomes import Outcomes, WorstCase
from bench.measure.threats import same_radius
from bench.measure.validity import shortfall, unseen_noise
from bench.spec import Claim
from bench.trust.faced import Faced, faced

_NOTHING: pd.Series[bool] = pd.Series(dtype=bool)


class Run(NamedTuple):
    """What is looked up again and again, computed once.

    Attributes:
        cells: by model and norm, the checked cells of attacks that try to take the right answer
            away.
        outcomes: what every cell did to every image.
        surfaces: by model, all those through which the run attacks it.
    """

    cells: dict[tuple[str, str], pd.DataFrame]
    outcomes: Outcomes
    surfaces: dict[str, frozenset[str]]


class Side(NamedTuple):
    """Which images stand on a side of a comparison.

    Attributes:
        stands: by image.
        whole: likewise, after the attacks, too, that this side alone faced.
        why: why neither can be told; empty where they can.
        said: what the attacks may not have seen of the model, or which are missing, and of how many
            images none was valid.
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


def measure(outcomes: Outcomes, wanted: Collection[tuple[str, str]]) -> Run:
    """Return what is known of models and norms; in a run without claims nothing is looked up."""
    if not wanted:
        return Run({}, outcomes, {})
    named = [
        "cell", "model", "family", "norm", "attack", "toolkit", "surface", "goal", "radius", "parameters",
        "kind", "flag", "shows_robust",
    ]  # fmt: skip
    every = outcomes.cells[named]  # texts that nobody reads make each look-up slow
    cells = {
        (model, norm): every[(every["model"] == model) & (every["norm"] == norm)]
        for model, norm in wanted
    }
    climbed = {
        str(model): frozenset(mine)
        for model, mine in outcomes.results.cells.groupby("model")["surface"]
    }
    return Run(cells, outcomes, climbed)


def on_clean(run: Run, titles: tuple[str, str]) -> Sides:
    """Return which clean images each model gets right."""
    left, right = (
        Side(run.outcomes.clean[title], run.outcomes.clean[title])
        if title in run.outcomes.clean
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
        mine = mine[mine["attack"].isin(attacks) & mine["shows_robust"]]
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
        _studied(run.outcomes, mine, used, radius)
        for mine, used in zip(cells, (met.left, met.right), strict=True)
    )
    return Sides(left, right, met)


def _studied(found: Outcomes, cells: pd.DataFrame, used: tuple[str, ...], radius: float) -> Side:
    """Return which images stand after some cells of a study, of which those used count."""
    counted = cells[cells["cell"].isin(used)]
    why = shortfall(counted)
    if why:
        return _unknown(why)
    worst = found.group(used).within(radius, used)
    if worst.invalid:
        return _unknown(_join(*worst.notes))
    return Side(
        _standing(worst),
        _standing(found.group(cells["cell"]).within(radius, used)),
        said=_join(unseen_noise(set(counted["surface"])), *worst.notes),
    )


def under_strongest(run: Run, titles: tuple[str, str], norm: str, radius: float) -> Sides:
    """Return which images stand after every valid attack of the run that both sides faced."""
    every = [run.cells[title, norm] for title in titles]
    valid = [cells[cells["flag"] == ""] for cells in every]
    met = faced(valid[0], valid[1], _surfaces(run, titles), radius)
    sides = []
    for cells, mine, used in zip(every, valid, (met.left, met.right), strict=True):
        aimed = _aimed(mine, radius)
        showing = set(aimed.loc[aimed["shows_robust"], "cell"])
        worst = run.outcomes.group(used).within(radius, showing.intersection(used))
        sides.append(
            Side(
                _standing(worst),
                _standing(run.outcomes.group(mine["cell"]).within(radius, showing)),
                said=_join(shortfall(_aimed(cells[cells["shows_robust"]], radius)), *worst.notes),
            )
        )
    return Sides(sides[0], sides[1], met)


def _surfaces(run: Run, titles: tuple[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    return run.surfaces[titles[0]], run.surfaces[titles[1]]


def _aimed(cells: pd.DataFrame, radius: float) -> pd.DataFrame:
    """Return the cells that try a model at a radius: those of just this one and of minimal norm."""
    return cells[same_radius(cells["radius"], radius) | (cells["kind"] == "minimal")]


def _standing(worst: WorstCase) -> pd.Series[bool]:
    """Return which images stand: of a random model those that most of its draws get right."""
    return worst.robust > 0.5


def _join(*parts: str) -> str:
    """Return the parts that say something, separated by semicolons."""
    return "; ".join(part for part in parts if part)

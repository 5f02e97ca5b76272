"""What the printed figures of a study say of its claims: each comparison as it stands in print, without a test.

A claim can fail on our models and hold in print, or the other way round; or the document's own table can
contradict its text. The printed figure of a side is the one that stands beside the figure of ours; of
several attacks that a claim names, the one that leaves the least. Of equal figures neither is larger.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from bench.measure.published import CLEAN
from bench.measure.training_figures import TRAINING_FIGURES
from bench.spec import Claim, number
from bench.trust.claim_measures.perturbation import equal_within
from bench.trust.claim_measures.registry import claim_measures_by_name
from bench.trust.claim_pairs import matches
from bench.trust.verdicts import FAILS, HOLDS, LEFT_AHEAD

NOT_PRINTED = "not printed"

#: What rounding may add to a difference of two printed figures.
_ROUNDING = 1e-9
_ACCURACY, _CRITICAL_EPS, _IMPORTANCE, _PERCENT = "accuracy", "critical_eps", "importance", 100.0
#: The metrics of trainings and members that are shares.
_SHARES = {
    _IMPORTANCE, *(figure.metric for figure in TRAINING_FIGURES.values() if figure.unit == "share"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Printed:
    """The printed figures of a study, found by what of ours they stand beside.

    Attributes:
        beside: the published figures beside ours, of `bench.report.study.Study.beside`: `data, model,
            attack, norm, published`, and where they have them `eps, metric`; of perturbations `cell`
            (of ours), `figure` (of the cell) and `scale` (printed units of one of the figure). Shares are in
            percent, those of trainings and importances too.
        stands_for: returns the published model that one of ours repeats, both with the data set.
        data: the data set of each of our models, by title.
    """

    beside: pd.DataFrame
    stands_for: Callable[[str], str]
    data: Mapping[str, str]

    def of_cell(self, cell: str, figure: str) -> float:
        """Return the printed figure of a cell of ours, in our unit; NaN if it is not printed."""
        return self._of_cells.get((cell, figure), math.nan)

    def accuracy(self, title: str, attack: str, norm: str, radius: float) -> float:
        """Return the printed accuracy of a model, as a share; NaN if it is not printed."""
        clean = (self.stands_for(title), CLEAN, "", 0.0)
        key = clean if radius == 0 else (self.stands_for(title), attack, norm, radius)
        return self._accuracies.get(key, math.nan)

    def critical_eps(self, title: str, attack: str) -> float:
        """Return the printed critical eps of a model; NaN if it is not printed."""
        return self._radii.get((self.stands_for(title), attack), math.nan)

    def of_model(self, title: str, metric: str) -> float:
        """Return a printed figure of a training or of a member, in our unit; NaN if it is not printed."""
        if metric == _ACCURACY:
            return self.accuracy(title, CLEAN, "", 0.0)
        return self._of_models.get((self.stands_for(title), metric), math.nan)

    @cached_property
    def _of_models(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for row in self._rows:
            metric = str(row.get("metric"))
            scale = _PERCENT if metric in _SHARES else 1.0
            key = f"{row['data']}/{row['model']}", metric
            found.setdefault(key, float(row["published"]) / scale)
        return found

    @cached_property
    def _rows(self) -> list[dict[Any, Any]]:
        known = self.beside[self.beside["published"].notna()]
        return known.to_dict("records")

    @cached_property
    def _of_cells(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for row in self._rows:
            if row.get("cell"):
                key = str(row["cell"]), str(row["figure"])
                found.setdefault(key, float(row["published"]) / float(row["scale"]))
        return found

    @cached_property
    def _accuracies(self) -> dict[tuple[str, str, str, float], float]:
        found: dict[tuple[str, str, str, float], float] = {}
        for row in self._rows:
            if row.get("metric", _ACCURACY) != _ACCURACY:
                continue
            model, eps = f"{row['data']}/{row['model']}", row.get("eps")
            # Accuracies that stand beside a critical eps are of clean images, and have no radius.
            clean = row["attack"] == CLEAN or not eps
            key = (
                (model, CLEAN, "", 0.0)
                if clean
                else (model, row["attack"], row["norm"], number(eps))
            )
            found.setdefault(key, float(row["published"]) / _PERCENT)
        return found

    @cached_property
    def _radii(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for row in self._rows:
            if row.get("metric") == _CRITICAL_EPS:
                key = f"{row['data']}/{row['model']}", str(row["attack"])
                found.setdefault(key, float(row["published"]))
        return found


def printed_comparisons(
    compared: pd.DataFrame, claims: Sequence[Claim], printed: Printed
) -> pd.DataFrame:
    """Return comparisons with what is printed of them.

    Args:
        compared: of `bench.trust.comparisons.comparisons`.
        claims: of the suite.
        printed: the printed figures of its study.

    Returns:
        The same rows with `left_printed, right_printed` (in the unit of our figures, or the bound; NaN of an
        order, and where not printed) and `in_print` (`holds`, `fails` or `not printed`).
    """
    made = []
    for row in compared.to_dict("records"):
        claim = claims[int(row["claim"]) - 1]
        if claim.expect in ("same order", "opposite order"):
            made.append((math.nan, math.nan, _of_order(*_orders(row, claim, printed), claim)))
            continue
        left, right = _sides(row, claim, printed)
        made.append((left, right, _of_two(left, right, claim)))
    columns = ["left_printed", "right_printed", "in_print"]
    return compared.join(pd.DataFrame(made, compared.index, columns))


def printed_claims(judged: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts on claims with `in_print`: what the printed figures say of each.

    `holds`, `fails`, `holds in 2 of 3` (of the comparisons that are printed) or `not printed`.

    Args:
        judged: of `bench.trust.claims.claims`.
        compared: of `printed_comparisons`.
    """
    verdicts = compared.groupby("claim")["in_print"].agg(list).to_dict()
    return judged.assign(
        in_print=pd.Series(
            [_overall(verdicts.get(claim, [])) for claim in judged["claim"]],
            index=judged.index,
            dtype="str",
        )
    )


def _overall(verdicts: Sequence[str]) -> str:
    printed = [verdict for verdict in verdicts if verdict != NOT_PRINTED]
    held = printed.count(HOLDS)
    if not printed:
        return NOT_PRINTED
    if held in (0, len(printed)):
        return printed[0]
    return f"{HOLDS} in {held} of {len(printed)}"


def _sides(row: Mapping[Any, Any], claim: Claim, printed: Printed) -> tuple[float, float]:
    """Return the printed figures of both sides of a comparison; NaN where there is none."""
    if claim.settings:
        left = _of_source(row, "left", printed)
        return left, _of_source(row, "right", printed) if claim.bound is None else claim.bound
    if claim_measures_by_name()[claim.measure].about != "models":
        return _without_attacks(row, claim, printed)
    if not (isinstance(row["left"], str) and isinstance(row["right"], str)):
        return math.nan, math.nan
    attacks = claim.attacks, claim.right_attacks or claim.attacks
    titles = row["left"], row["right"]
    figures = [
        [_of_attack(row, claim, title, attack, printed) for attack in of_side or ("",)]
        for title, of_side in zip(titles, attacks, strict=True)
    ]
    if claim.right_attacks is None:  # only attacks that are printed of both sides
        both = [pair for pair in zip(*figures, strict=True) if not any(map(math.isnan, pair))]
        figures = [list(of_side) for of_side in zip(*both, strict=True)] or [[], []]
    left, right = (min(of_side, default=math.nan) for of_side in figures)
    return left, right


def _without_attacks(row: Mapping[Any, Any], claim: Claim, printed: Printed) -> tuple[float, float]:
    """Return the printed figures of two trainings or members, or of a training and the bound."""
    metric = TRAINING_FIGURES[claim.column].metric if claim.column else _IMPORTANCE
    left, right = (
        printed.of_model(row[side], metric) if isinstance(row[side], str) else math.nan
        for side in ("left", "right")
    )
    return left, right if claim.bound is None else claim.bound


def _of_source(row: Mapping[Any, Any], side: str, printed: Printed) -> float:
    cell = row[f"{side}_cells"]
    return printed.of_cell(cell, row[f"{side}_figure"]) if isinstance(cell, str) else math.nan


def _of_attack(
    row: Mapping[Any, Any], claim: Claim, title: str, attack: str, printed: Printed
) -> float:
    if row["measure"] == _CRITICAL_EPS:
        return printed.critical_eps(title, attack)
    return printed.accuracy(title, attack, claim.norm, float(row["eps"]))


def _orders(
    row: Mapping[Any, Any], claim: Claim, printed: Printed
) -> tuple[list[float], list[float]]:
    """Return the printed figures by which a claim orders models, each published model once."""
    if claim.settings:
        left, right = (
            [printed.of_cell(cell, row[f"{side}_figure"]) for cell in str(row[f"{side}_cells"]).split(" ")]
            for side in ("left", "right")
        )  # fmt: skip
        return left, right
    titles = {
        printed.stands_for(title): title
        for title, data in printed.data.items()
        if data == row["data"] and matches(claim.left, title)
    }.values()
    radii = [
        [min(printed.critical_eps(title, attack) for attack in attacks) for title in titles]
        for attacks in (claim.attacks, claim.right_attacks)
        if attacks is not None
    ]
    clean = [printed.accuracy(title, CLEAN, "", 0.0) for title in titles]
    return (radii[0], radii[1]) if len(radii) > 1 else (clean, radii[0])


def _of_two(left: float, right: float, claim: Claim) -> str:
    """Return what two printed figures say of a claim."""
    if math.isnan(left) or math.isnan(right):
        return NOT_PRINTED
    difference = left - right
    if claim.within is not None:
        within = equal_within(claim) if claim.settings else claim.within / _PERCENT
        return HOLDS if abs(difference) <= (within or 0.0) + _ROUNDING else FAILS
    ahead = difference if claim.expect in LEFT_AHEAD else -difference
    return HOLDS if ahead > _ROUNDING else FAILS


def _of_order(left: Sequence[float], right: Sequence[float], claim: Claim) -> str:
    """Return whether each pair of models is ordered by two printed figures as a claim says."""
    models = [pair for pair in zip(left, right, strict=True) if not any(map(math.isnan, pair))]
    turns = [
        (one[0] - other[0]) * (one[1] - other[1])
        for one, other in itertools.combinations(dict.fromkeys(models), 2)
    ]
    if not turns:
        return NOT_PRINTED
    wanted = 1 if claim.expect in LEFT_AHEAD else -1
    return HOLDS if all(turn * wanted > 0 for turn in turns) else FAILS

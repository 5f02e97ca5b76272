"""Whether the claims of a study hold, tested on the outcomes of the same images.

A comparison has two models (or two attacks on one model), one data set and one radius. The claim's measure
(`bench.trust.claim_measures`) decides what is compared and how it is tested: accuracies under the study's
attack and under the strongest attack of the run, critical eps, figures of perturbations, the order of models,
figures of trainings, or how much the members of a model count.

`left > right` of accuracies is tested with the exact McNemar test. All p-values are adjusted together by
Holm's method, those under the strongest attack by themselves, at level 0.05. Those of trainings are adjusted
within their claim: five trainings a side give no p below 2 / 252, so that no claim could hold among dozens of
comparisons. `left = right` is judged by
the 95 % interval of the paired difference (Bonett and Price, 2012), which must lie inside or wholly
outside of what counts as equal; it is not adjusted. In a run that added images to what was undecided, other
tests are used: see `bench.trust.added_images`. What the tests say together is in `bench.trust.verdicts`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.statistics import holm
from bench.spec import Claim, number
from bench.trust.claim_measures.accuracy import has_strongest
from bench.trust.claim_measures.registry import (
    Case,
    Compared,
    Source,
    Tested,
    Under,
    claim_measures_by_name,
)
from bench.trust.claim_run import ClaimRun
from bench.trust.perturbation_cells import described
from bench.trust.verdicts import UNDECIDED, Outcome, outcome, verdict

#: The prefix of the columns for an attack.
_PREFIXES: Mapping[Under, str] = {"study": "", "strongest": "strongest_"}

_FIGURES = (
    "left_accuracy", "right_accuracy", "difference", "low", "high", "only_left", "only_right", "e", "p",
    "p_holm", "harder", "outcome",
)  # fmt: skip
_COUNTS = ("n", "only_left", "only_right")
_SOURCES = (
    "left_attack", "left_cells", "left_figure", "right_attack", "right_cells", "right_figure",
)  # fmt: skip
_TEXTS = (
    "left", "right", "case", "data", "norm", "eps_text", "measure", "figure", *_SOURCES, "verdict",
    "note",
)  # fmt: skip
_TEXTS_UNDER = ("harder", "outcome")


class Comparison(NamedTuple):
    """A comparison of a claim.

    Attributes:
        number: of the claim, from 1.
        compared: with `p_holm`, the adjusted p-value, among the figures of what was tested.
    """

    number: int
    claim: Claim
    case: Case
    compared: Compared

    @property
    def outcomes(self) -> dict[Under, Outcome]:
        """What the figures under each attack show."""
        return {
            attack: outcome(tested, self.claim)
            for attack, tested in self.compared.under.items()
            if tested.figures
        }

    @property
    def verdict(self) -> str:
        """One of `bench.trust.verdicts.VERDICTS`."""
        return verdict(self.compared.under, self.outcomes, self.claim)


def comparisons(
    outcomes: Outcomes, radii: pd.DataFrame | None = None, asked: Outcomes | None = None
) -> pd.DataFrame:
    """Return every comparison of the claims of a run.

    Args:
        outcomes: of a suite's last run.
        radii: the result of `bench.measure.radius.critical_eps` on the images that the suite asks for, if
            computed before.
        asked: the outcomes on these images alone; None where the run has no others, or they are not at hand.

    Returns:
        A row a comparison: `claim` (its number, from 1), `left, right` (model titles, null where
        there is none), `case` (what names and stars in the patterns match), `data, norm, eps`
        (float), `eps_text, n` (images of both sides); under the study's attack `left_accuracy,
        right_accuracy, difference` (shares, left minus right) with its 95 % interval `low, high`,
        `only_left, only_right` (images that are robust on one side alone), `e` (the largest e-value so far, in
        a run that added images), `p` (exact McNemar),
        `p_holm` (adjusted; null where equality is claimed), `harder` (which side was attacked
        harder, `left`, `right` or `neither`; empty where both were attacked alike), `outcome` (`for`,
        `against`, `undecided`, `unequal`, or `nothing left` where no image is robust on either side);
        the same under the strongest attack as `strongest_...`, null on clean images and where attacks
        are compared, and `strongest_study`, the difference under the study's attack on the images of
        the strongest; `measure` (its name), `figure` (of radii: `logistic`,
        `median` or `mode`, else null); of an order `difference` is Kendall's tau, `p`
        its exact one and `n` the models; of critical eps `left_critical_eps, left_error,
        right_critical_eps, right_error` in place of the accuracies, `difference, low, high` in the
        unit of eps, `p` by the normal distribution, and `n` the images that count on the side that has
        fewer; of perturbations `left_value, right_value` (the figures of both sides, or the bound), and
        for each side `..._attack` (in words), `..._cells` (that its figures are from, separated by
        spaces) and `..._figure` (the column of `bench.measure.perturbations`), also of an order of them;
        `difference, low, high` in the unit of the figure; of trainings and of members `left_value,
        right_value` likewise, of trainings `left_figure` and `n` the trainings of the side that has fewer;
        `verdict` (of `bench.trust.verdicts.VERDICTS`) and `note` (why it is not judged, and what to know).
    """
    run = ClaimRun(outcomes, radii)
    if asked is not None:
        run = ClaimRun(outcomes, known_asked=ClaimRun(asked, radii))
    return _table([_row(comparison) for comparison in judged(run)])


def judged(
    run: ClaimRun, known: Mapping[tuple[int, Case], Compared] | None = None
) -> list[Comparison]:
    """Return every comparison of the claims of a run, with adjusted p-values.

    Args:
        run: with the claims.
        known: by the number of the claim and the case, what does not have to be computed again.
    """
    measures, known = claim_measures_by_name(), known or {}
    compared = []
    for turn, claim in enumerate(run.outcomes.results.claims, 1):
        measure = measures[claim.measure]
        of_claim = run if measure.at_any_time else run.as_asked
        compared += [
            Comparison(
                turn,
                claim,
                case,
                known.get((turn, case)) or measure.compare(of_claim, claim, case),
            )
            for case in measure.cases(of_claim, claim)
        ]
    if run.added is None:
        return _adjusted(compared, at_any_time=False)
    return [_with_note(comparison) for comparison in _adjusted(compared, at_any_time=True)]


def _with_note(comparison: Comparison) -> Comparison:
    """Return a comparison of a run that added images, with a note if it is undecided and gets no more."""
    if comparison.verdict != UNDECIDED:
        return comparison
    measure, compared = claim_measures_by_name()[comparison.claim.measure], comparison.compared
    if not measure.at_any_time:
        why = f"no images are added for {measure.noun}"
    elif all(tested.figures["n"] >= tested.most for tested in compared.under.values()):
        why = "all images were used"
    else:
        return comparison
    note = "; ".join(part for part in (compared.note, why) if part)
    return comparison._replace(compared=dataclasses.replace(compared, note=note))


def _adjusted(compared: Sequence[Comparison], at_any_time: bool) -> list[Comparison]:
    """Return comparisons with Holm-adjusted p-values; claims of equality have none on fixed images."""
    together: dict[tuple[int, str], dict[tuple[int, Under], float]] = {}
    for place, comparison in enumerate(compared):
        for attack, p in _p_values(comparison, at_any_time).items():
            others = _adjusted_with(comparison, attack, at_any_time)
            together.setdefault(others, {})[place, attack] = p
    found = list(compared)
    for p_values in together.values():
        for (place, attack), p in zip(p_values, holm(list(p_values.values())), strict=True):
            if attack in found[place].compared.under:
                found[place] = _with_figure(found[place], attack, "p_holm", p)
    return found


def _p_values(comparison: Comparison, at_any_time: bool) -> dict[Under, float]:
    """Return the p-values of a comparison by attack; 1 of what has none, where it counts all the same."""
    p_values = {
        attack: comparison.compared.under[attack].figures["p"]
        for attack in _PREFIXES
        if _is_tested(comparison, attack)
    }
    if not at_any_time or not claim_measures_by_name()[comparison.claim.measure].at_any_time:
        return p_values
    attacks: tuple[Under, ...] = (
        ("study", "strongest") if has_strongest(comparison.claim, comparison.case) else ("study",)
    )
    return dict.fromkeys(attacks, 1.0) | p_values


def _adjusted_with(comparison: Comparison, attack: Under, at_any_time: bool) -> tuple[int, str]:
    """Return which p-values one is adjusted with: of trainings those of the claim, and else 0.

    The second tells the attacks apart, but for what is tested at any time: that is adjusted together.
    """
    measure = claim_measures_by_name()[comparison.claim.measure]
    if measure.about == "trainings":
        return comparison.number, ""
    return 0, "at any time" if at_any_time and measure.at_any_time else attack


def _is_tested(comparison: Comparison, attack: Under) -> bool:
    tested = comparison.compared.under.get(attack)
    if tested is None or "p" not in tested.figures:
        return False
    return bool(tested.shows) or comparison.claim.expect != "left = right"


def _with_figure(comparison: Comparison, attack: Under, name: str, value: float) -> Comparison:
    compared = comparison.compared
    tested = compared.under[attack]
    more = dataclasses.replace(tested, figures={**tested.figures, name: value})
    under = {**compared.under, attack: more}
    return comparison._replace(compared=dataclasses.replace(compared, under=under))


def _row(comparison: Comparison) -> dict[str, Any]:
    """Return the row of a comparison with its outcomes (study's and strongest attack) and its verdict."""
    turn, claim, case, compared = comparison
    outcomes = comparison.outcomes
    row = {
        "claim": turn,
        "left": case.left,
        "right": case.right,
        "case": case.name,
        "data": case.data,
        "norm": claim.norm,
        "eps": None if case.eps is None else number(case.eps, "eps"),
        "eps_text": case.eps,
        "measure": claim.measure,
        "figure": compared.figure,
        **_side("left", case, compared.left),
        **_side("right", case, compared.right),
        "verdict": comparison.verdict,
        "note": compared.note,
    }
    for attack, tested in compared.under.items():
        row |= _under(tested, outcomes.get(attack), _PREFIXES[attack])
    return row


def _side(side: Literal["left", "right"], case: Case, source: Source | None) -> dict[str, str]:
    """Return the columns of what a side is attacked by and where its figures are from."""
    setting = (case.settings or (None, None))[0 if side == "left" else 1]
    found = {} if setting is None else {"attack": described(setting)}
    if source is not None:
        found |= {"cells": " ".join(source.cells), "figure": source.figure}
    return {f"{side}_{name}": value for name, value in found.items()}


def _under(tested: Tested, result: str | None, prefix: str) -> dict[str, Any]:
    columns = {**tested.figures, "harder": tested.harder, "outcome": result}
    return {prefix + name: value for name, value in columns.items()}


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows of comparisons as a table whose columns have their types, filled or not."""
    study, strongest = _PREFIXES.values()
    more = [name for measure in claim_measures_by_name().values() for name in measure.columns]
    columns = [
        "claim", "left", "right", "case", "data", "norm", "eps", "eps_text",
        *(study + name for name in ("n", *_FIGURES)),
        *(strongest + name for name in ("n", *_FIGURES, "study")),
        "measure", "figure", *_SOURCES, *more, "verdict", "note",
    ]  # fmt: skip
    texts = [*_TEXTS, *(prefix + name for prefix in (study, strongest) for name in _TEXTS_UNDER)]
    counts = [prefix + name for prefix in (study, strongest) for name in _COUNTS]
    numbers = [name for name in columns if name not in (*texts, *counts, "claim")]
    return pd.DataFrame(rows, columns=columns).astype(
        dict.fromkeys(texts, "str")
        | dict.fromkeys(counts, "Int64")
        | dict.fromkeys(numbers, "float64")
        | {"claim": "int64"}
    )

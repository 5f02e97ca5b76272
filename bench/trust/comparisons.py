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
outside of what counts as equal; it is not adjusted. What the tests say together is in
`bench.trust.verdicts`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.statistics import holm
from bench.spec import Claim, number
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
from bench.trust.verdicts import outcome, verdict

#: The prefix of the columns for an attack.
_PREFIXES: Mapping[Under, str] = {"study": "", "strongest": "strongest_"}

_FIGURES = (
    "left_accuracy", "right_accuracy", "difference", "low", "high", "only_left", "only_right", "p",
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


class _Comparison(NamedTuple):
    """A comparison of the claim of this number, from 1."""

    number: int
    claim: Claim
    case: Case
    compared: Compared


def comparisons(outcomes: Outcomes, radii: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return every comparison of the claims of a run.

    Args:
        outcomes: of a suite's last run.
        radii: the result of `bench.measure.radius.critical_eps`, if computed before.

    Returns:
        A row a comparison: `claim` (its number, from 1), `left, right` (model titles, null where
        there is none), `case` (what names and stars in the patterns match), `data, norm, eps`
        (float), `eps_text, n` (images of both sides); under the study's attack `left_accuracy,
        right_accuracy, difference` (shares, left minus right) with its 95 % interval `low, high`,
        `only_left, only_right` (images that are robust on one side alone), `p` (exact McNemar),
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
    run, measures = ClaimRun(outcomes, radii), claim_measures_by_name()
    compared = [
        _Comparison(turn, claim, case, measures[claim.measure].compare(run, claim, case))
        for turn, claim in enumerate(outcomes.results.claims, 1)
        for case in measures[claim.measure].cases(run, claim)
    ]
    for attack in _PREFIXES:
        compared = _adjusted(compared, attack)
    return _table([_row(comparison) for comparison in compared])


def _adjusted(compared: list[_Comparison], attack: Under) -> list[_Comparison]:
    """Return comparisons with Holm-adjusted p-values for an attack; claims of equality have none."""
    together: dict[int, dict[int, float]] = {}
    for place, comparison in enumerate(compared):
        if _is_tested(comparison, attack):
            p = comparison.compared.under[attack].figures["p"]
            together.setdefault(_adjusted_with(comparison), {})[place] = p
    adjusted = {
        place: value
        for p_values in together.values()
        for place, value in zip(p_values, holm(list(p_values.values())), strict=True)
    }
    return [
        _with_figure(comparison, attack, "p_holm", adjusted[place])
        if place in adjusted
        else comparison
        for place, comparison in enumerate(compared)
    ]


def _adjusted_with(comparison: _Comparison) -> int:
    """Return which comparisons one is adjusted with: those of its claim, or 0 for all that are not of trainings."""
    about = claim_measures_by_name()[comparison.claim.measure].about
    return comparison.number if about == "trainings" else 0


def _is_tested(comparison: _Comparison, attack: Under) -> bool:
    tested = comparison.compared.under.get(attack)
    return (
        tested is not None and "p" in tested.figures and comparison.claim.expect != "left = right"
    )


def _with_figure(comparison: _Comparison, attack: Under, name: str, value: float) -> _Comparison:
    compared = comparison.compared
    tested = compared.under[attack]
    more = dataclasses.replace(tested, figures={**tested.figures, name: value})
    under = {**compared.under, attack: more}
    return comparison._replace(compared=dataclasses.replace(compared, under=under))


def _row(comparison: _Comparison) -> dict[str, Any]:
    """Return the row of a comparison with its outcomes (study's and strongest attack) and its verdict."""
    turn, claim, case, compared = comparison
    outcomes = {
        attack: outcome(tested, claim)
        for attack, tested in compared.under.items()
        if tested.figures
    }
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
        "verdict": verdict(compared.under, outcomes, claim),
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

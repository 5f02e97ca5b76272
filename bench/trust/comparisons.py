"""Whether what a study says holds: its sentences tested on the outcomes of the same images.

A comparison has two models (or two attacks on one model), one data set and one radius. An image
counts for a side if that side's model gets it right and no attack broke it; the rule is that of the
headline (`bench.measure.outcomes`). Both sides are judged on the images they share:

- under the study's attack: the cells of the attacks and surfaces that the claim names, at this very
  radius and of any toolkit, or of minimal norm;
- under the strongest: all valid cells of the model and norm, whatever their attack, surface and
  radius, as in the headline, on the images that all cells of just this radius or of minimal norm
  have.

Both sides face the same attacks: where a claim does not compare attacks, only what both sides faced
counts (`bench.trust.faced`), and what one of them faced beside it is named in the note. Where that
leaves unequal attacks, a side can only be found ahead if it was the one attacked harder.

`left > right` is tested with the exact McNemar test, adjusted by Holm's method for all such
comparisons of the suite, those under the strongest attack by themselves, at level 0.05. `left =
right` is judged by the 95 % interval of the paired difference (Bonett and Price, 2012), which must
lie inside or wholly outside of what counts as equal; it is not adjusted. What the two tests say
together is in `bench.trust.verdicts`.

Where critical eps are compared instead (`bench.trust.critical_eps_claims`), or the order of models
(`bench.trust.rank_correlation`), there is no strongest attack; their p-values are adjusted together with the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.radius import critical_eps
from bench.measure.statistics import holm, mcnemar, paired_difference
from bench.measure.threats import data_sets
from bench.spec import Claim, number
from bench.trust.claim_pairs import Pair, lonely, matches, pairs, sided
from bench.trust.critical_eps_claims import CRITICAL, compare_critical
from bench.trust.rank_correlation import compare_orders
from bench.trust.standing import Run, Sides, measure, on_clean, under_strongest, under_study
from bench.trust.verdicts import STRONGEST as _STRONGEST
from bench.trust.verdicts import judge

_FIGURES = (
    "left_accuracy", "right_accuracy", "difference", "low", "high", "only_left", "only_right", "p",
    "p_holm", "harder", "outcome",
)  # fmt: skip
_COLUMNS = (
    "claim", "left", "right", "case", "data", "norm", "eps", "eps_text", "n", *_FIGURES,
    f"{_STRONGEST}n", *(_STRONGEST + name for name in _FIGURES), f"{_STRONGEST}study", "measure",
    "figure", *CRITICAL, "verdict", "note",
)  # fmt: skip
_COUNTS = tuple(name for name in _COLUMNS if name in ("n", f"{_STRONGEST}n") or "only_" in name)
_TEXT = (
    "left", "right", "case", "data", "norm", "eps_text", "measure", "figure", "verdict", "note",
    *(before + name for before in ("", _STRONGEST) for name in ("harder", "outcome")),
)  # fmt: skip


def comparisons(outcomes: Outcomes, radii: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return every comparison that the claims of a run are made of.

    Args:
        outcomes: of a suite's last run.
        radii: of `bench.measure.radius.critical_eps`, where it is at hand.

    Returns:
        A row a comparison: `claim` (its number, from 1), `left, right` (model titles, null where
        there is none), `case` (what names and stars of the patterns stand for), `data, norm, eps`
        (float), `eps_text, n` (images of both sides); under the study's attack `left_accuracy,
        right_accuracy, difference` (shares, left minus right) with its 95 % interval `low, high`,
        `only_left, only_right` (images that stand on one side alone), `p` (exact McNemar),
        `p_holm` (adjusted; null where equality is claimed), `harder` (which side was attacked
        harder, `left`, `right` or `neither`; empty where both were attacked alike), `outcome` (`for`,
        `against`, `undecided`, `unequal`, or `nothing left` where no image stands on either side); the
        same under the strongest attack as `strongest_...`, null on clean images and where attacks are
        compared, and `strongest_study`, the difference under the study's attack on the images of the
        strongest; `measure` (`accuracy`, `critical_eps` or `order`), `figure` (of radii: `logistic`,
        `median` or `mode`); of an order `difference` is Kendall's tau, `p`
        its exact one and `n` the models; of critical eps `left_critical_eps, left_error,
        right_critical_eps, right_error` in place of the accuracies, `difference, low, high` in the
        unit of eps, `p` by the normal distribution, and `n` the images that count on the side that has
        fewer;
        `verdict` (of `bench.trust.verdicts.VERDICTS`) and `note` (why it is not judged, and what to know).
    """
    results, data = outcomes.results, data_sets(outcomes.results)
    asked = [
        (turn, claim, pair)
        for turn, claim in enumerate(results.claims, 1)
        for pair in pairs(claim, data)
    ]
    sides = {(title, claim.norm) for _, claim, it in asked for title in it[:2] if title}
    run = measure(outcomes, sides)
    found: list[dict[str, Any]] = [
        {"claim": turn, "data": data.get(str(pair.left or pair.right)), "norm": claim.norm}
        | _compare(run, claim, pair, eps)
        for turn, claim, pair in asked
        for eps in claim.eps
    ]
    if any(claim.measure != "accuracy" for claim in results.claims):
        measured = critical_eps(results) if radii is None else radii
        found += [
            {"claim": turn, "data": data.get(str(pair.left or pair.right)), "norm": claim.norm}
            | compare_critical(measured, results.cells, claim, pair)
            for turn, claim, pair in asked
            if claim.measure == "critical_eps"
        ]
        found += _orders(outcomes, measured, data)
        found.sort(key=lambda row: row["claim"])
    for prefix in ("", _STRONGEST):
        _adjust(found, results.claims, prefix)
    for row in found:
        judge(row, results.claims[row["claim"] - 1])
    table = pd.DataFrame(found, columns=list(_COLUMNS))
    numbers = [name for name in _COLUMNS if name not in (*_TEXT, *_COUNTS, "claim")]
    return table.astype(
        dict.fromkeys(_TEXT, "str")
        | dict.fromkeys(_COUNTS, "Int64")
        | dict.fromkeys(numbers, "float64")
        | {"claim": "int64"}
    )


def _orders(
    outcomes: Outcomes, measured: pd.DataFrame, data: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the comparisons of orders, one a claim and data set."""
    accuracy = {model: float(right.mean()) for model, right in outcomes.clean.items()}
    found = []
    for turn, claim in enumerate(outcomes.results.claims, 1):
        if claim.measure != "order":
            continue
        mine = [title for title in data if matches(claim.left, title)]
        for name in dict.fromkeys(data[title] for title in mine) or (None,):
            titles = [title for title in mine if data[title] == name]
            row = compare_orders(measured, accuracy, claim, titles)
            found.append({"claim": turn, "data": name, "norm": claim.norm} | row)
    return found


def _compare(run: Run, claim: Claim, pair: Pair, eps: str) -> dict[str, Any]:
    """Return the figures of one comparison, or `note`, why there are none."""
    radius = number(eps, "eps")
    row = {"left": pair.left, "right": pair.right, "case": pair.case, "eps": radius}
    row |= {"eps_text": eps, "measure": "accuracy"}
    if pair.left is None or pair.right is None:
        return row | {"note": lonely(claim, pair)}
    titles = pair.left, pair.right
    sides = under_study(run, claim, titles, radius) if radius > 0 else on_clean(run, titles)
    if sides.left.why or sides.right.why:
        return row | {"note": sided("", sides.left.why, sides.right.why)}
    figures, unequal = _judged(sides)
    row |= figures
    notes = [unequal, sided("", sides.left.said, sides.right.said)]
    if radius > 0 and claim.right_attacks is None:
        again = under_strongest(run, titles, claim.norm, radius)
        figures, more = _judged(again)
        figures["study"] = _lead(sides, again)
        row |= {_STRONGEST + name: figure for name, figure in figures.items()}
        notes.append(sided("strongest, ", again.left.said, again.right.said))
        notes.append(f"strongest, {more}" if more and more != unequal else "")
    return row | {"note": "; ".join(note for note in (*notes, _seen(row)) if note)}


def _lead(study: Sides, strongest: Sides) -> float:
    """Return the difference under the study's attack, on the images of the strongest."""
    there = study.left.stands.index.intersection(study.right.stands.index)
    for side in (strongest.left, strongest.right):
        there = there.intersection(side.stands.index)
    return float(study.left.stands[there].mean() - study.right.stands[there].mean())


def _judged(sides: Sides) -> tuple[dict[str, Any], str]:
    """Return accuracies and how they differ, and what is to be said of unequal attacks."""
    met = sides.met
    figures = _figures(sides.left.stands, sides.right.stands) | {"harder": met.harder}
    if met.harder or not met.left_out:
        return figures, met.said()
    whole = _figures(sides.left.whole, sides.right.whole)
    if whole["difference"] * figures["difference"] < 0:
        figures["harder"] = "neither"
        return figures, f"unequal attacks, which turn the sides round: {met.left_out}"
    return figures, met.said()


def _figures(left: pd.Series[bool], right: pd.Series[bool]) -> dict[str, Any]:
    """Return accuracies and how they differ, on the images of both sides."""
    both = left.index.intersection(right.index)
    left, right = left.loc[both], right.loc[both]
    only_left, only_right = int((left & ~right).sum()), int((right & ~left).sum())
    difference, (low, high) = paired_difference(only_left, only_right, len(both))
    return {
        "n": len(both),
        "left_accuracy": float(left.mean()),
        "right_accuracy": float(right.mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "only_left": only_left,
        "only_right": only_right,
        "p": mcnemar(only_left, only_right),
    }


def _adjust(found: list[dict[str, Any]], asked: tuple[Claim, ...], prefix: str) -> None:
    """Adjust the p-values of all comparisons that are tested; equality is not."""
    tested = [
        row
        for row in found
        if f"{prefix}p" in row and asked[row["claim"] - 1].expect != "left = right"
    ]
    for row, p in zip(tested, holm([row[f"{prefix}p"] for row in tested]), strict=True):
        row[f"{prefix}p_holm"] = p


def _seen(row: dict[str, Any]) -> str:
    """Return a warning where no image tells the sides apart."""
    for prefix, under in (("", "the study's"), (_STRONGEST, "the strongest")):
        # Who has nothing left under one attack has nothing left under the strongest.
        if row.get(f"{prefix}left_accuracy") == row.get(f"{prefix}right_accuracy") == 0:
            return f"both at 0 % under {under} attack, which tells nothing of either"
    return "" if row["only_left"] or row["only_right"] else "no image differs"

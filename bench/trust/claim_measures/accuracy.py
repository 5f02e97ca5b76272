"""Claims about accuracy: two models, or two attacks on one model, on the images that both sides share.

An image counts for a side if that side's model gets it right and no attack broke it; the rule is that
of the headline (`bench.measure.outcomes`). Both sides are compared

- under the study's attack: the cells of the attacks and surfaces that the claim names, at this very
  radius and of any toolkit, or of minimal norm;
- under the strongest: all valid cells of the model and norm, whatever their attack, surface and
  radius, as in the headline, on the images that all cells of just this radius or of minimal norm have.
  There is none on clean images, and none where attacks are compared.

Both sides face the same attacks: where a claim does not compare attacks, only what both sides faced
counts (`bench.trust.faced`), and what one of them faced beside it is named in the note. Where that
leaves unequal attacks, a side can only be found ahead if it was the one attacked harder.

In a run that added images to undecided comparisons, the tests are those of `bench.trust.added_images`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from bench.spec import Claim, number
from bench.trust.claim_measures.registry import Case, ClaimMeasure, Compared, Tested, Under
from bench.trust.claim_pairs import both_sides, pairs, unpaired

if TYPE_CHECKING:
    import pandas as pd

    from bench.measure.anytime import Expected
    from bench.trust.claim_run import ClaimRun
    from bench.trust.sides import Sides


def cases(run: ClaimRun, claim: Claim) -> list[Case]:
    """Return each pair of models at each radius."""
    return [
        Case(
            left=pair.left,
            right=pair.right,
            name=pair.case,
            data=run.data.get(str(pair.left or pair.right)),
            eps=eps,
        )
        for pair in pairs(claim, run.data)
        for eps in claim.eps
    ]


def compare(run: ClaimRun, claim: Claim, case: Case) -> Compared:
    """Return how the accuracies of two models differ."""
    from bench.trust.sides import on_clean, under_strongest, under_study

    if case.left is None or case.right is None:
        return Compared(note=unpaired(claim, case.left, case.right))
    titles, radius = (case.left, case.right), number(str(case.eps), "eps")
    sides = under_study(run, claim, titles, radius) if radius > 0 else on_clean(run, titles)
    if sides.left.unknown or sides.right.unknown:
        return Compared(note=both_sides("", sides.left.unknown, sides.right.unknown))
    within = None if claim.within is None else claim.within / 100
    study, unequal = compare_sides(sides, within)
    if run.added is not None:
        study = _at_any_time(study, claim, run.added.most(*titles), sides)
    under: dict[Under, Tested] = {"study": study}
    notes = [unequal, both_sides("", sides.left.note, sides.right.note)]
    if has_strongest(claim, case):
        strongest_sides = under_strongest(run, titles, claim.norm, radius)
        strongest, unequal_strongest = compare_sides(strongest_sides, within)
        if run.added is not None:
            strongest = _at_any_time(
                strongest, claim, run.added.most(*titles), strongest_sides, sides
            )
        figures = {**strongest.figures, "study": _lead(sides, strongest_sides)}
        under["strongest"] = dataclasses.replace(strongest, figures=figures)
        left, right = strongest_sides.left.note, strongest_sides.right.note
        notes.append(both_sides("strongest, ", left, right))
        if unequal_strongest and unequal_strongest != unequal:
            notes.append(f"strongest, {unequal_strongest}")
    notes.append(_without_difference(under))
    return Compared(under=under, note="; ".join(note for note in notes if note))


def has_strongest(claim: Claim, case: Case) -> bool:
    """Return whether a comparison is made under the strongest attack too."""
    return claim.right_attacks is None and number(str(case.eps), "eps") > 0


def compare_sides(sides: Sides, within: float | None = None) -> tuple[Tested, str]:
    """Return how the accuracies of two sides differ, and a note on attacks that only one side faced.

    Args:
        sides: which images are robust on each.
        within: half the width of what counts as equal; None unless equality is claimed.
    """
    met, harder, note = sides.met, sides.met.harder, sides.met.note()
    figures = _figures(sides.left.robust, sides.right.robust)
    if met.left_out and not harder:
        against_all = _figures(sides.left.robust_to_all, sides.right.robust_to_all)
        if against_all["difference"] * figures["difference"] < 0:
            note = f"unequal attacks, which turn the sides round: {met.left_out}"
            harder = "neither"
    nothing_left = figures["left_accuracy"] == figures["right_accuracy"] == 0
    tested = Tested(figures=figures, harder=harder, nothing_left=nothing_left, within=within)
    return tested, note


def _at_any_time(
    tested: Tested, claim: Claim, most: int, sides: Sides, study: Sides | None = None
) -> Tested:
    """Return how the accuracies of two sides differ, tested so that it holds whenever one stops.

    Args:
        tested: the same, tested on a fixed number of images.
        claim: the one that it belongs to.
        most: how many images there are.
        sides: which images are robust on each.
        study: under the strongest attack, which are robust to the study's.
    """
    from bench.trust.added_images import lead_gone, shown_at_any_time

    robust = _aligned(sides)
    everything, expect = len(robust[0]) == most, cast("Expected", claim.expect)
    shows, evidence = shown_at_any_time(robust, expect, tested.within, everything)
    e = evidence.e
    if study is not None and tested.within is None:
        shows["gone"], e_gone = lead_gone(_aligned(study), robust, expect, everything)
        e = max(e, e_gone)
    (low, high), p = evidence.interval, min(shown.p for shown in shows.values())
    return dataclasses.replace(
        tested,
        figures={**tested.figures, "low": low, "high": high, "p": p, "e": e},
        nothing_left=False,
        shows=shows,
        cells=(*sides.left.required, *sides.right.required),
        most=most,
    )


def _aligned(sides: Sides) -> tuple[pd.Series[bool], pd.Series[bool]]:
    """Return which of the images of both sides are robust on each, in the order of the images."""
    left, right = sides.left.robust, sides.right.robust
    shared = left.index.intersection(right.index).sort_values()
    return left.loc[shared], right.loc[shared]


def _figures(left: pd.Series[bool], right: pd.Series[bool]) -> dict[str, float]:
    """Return accuracies and how they differ, on the images of both sides."""
    from bench.measure.statistics import mcnemar, paired_difference

    shared = left.index.intersection(right.index)
    left, right = left.loc[shared], right.loc[shared]
    only_left, only_right = int((left & ~right).sum()), int((right & ~left).sum())
    difference, (low, high) = paired_difference(only_left, only_right, len(shared))
    return {
        "n": len(shared),
        "left_accuracy": float(left.mean()),
        "right_accuracy": float(right.mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "only_left": only_left,
        "only_right": only_right,
        "p": mcnemar(only_left, only_right),
    }


def _lead(study: Sides, strongest: Sides) -> float:
    """Return the difference under the study's attack, on the images of the strongest."""
    shared = study.left.robust.index.intersection(study.right.robust.index)
    for side in (strongest.left, strongest.right):
        shared = shared.intersection(side.robust.index)
    return float(study.left.robust[shared].mean() - study.right.robust[shared].mean())


_ATTACKS: Mapping[Under, str] = {"study": "the study's", "strongest": "the strongest"}


def _without_difference(under: Mapping[Under, Tested]) -> str:
    """Return a warning if no image has different outcomes on the two sides."""
    # A side that is at 0 under one attack is at 0 under the strongest too.
    for name, attack in _ATTACKS.items():
        figures = under[name].figures if name in under else {}
        if figures and figures["left_accuracy"] == figures["right_accuracy"] == 0:
            return f"both at 0 % under {attack} attack, which tells nothing of either"
    study = under["study"].figures
    return "" if study["only_left"] or study["only_right"] else "no image differs"


def expectation(claim: Claim) -> str:
    """Return what a claim expects, such as `left = right within 5 points`."""
    return claim.expect + ("" if claim.within is None else f" within {claim.within:g} points")


MEASURE = ClaimMeasure(
    name="accuracy",
    noun="accuracies",
    expects=("left > right", "left < right", "left = right"),
    of_radii=False,
    unit="percent",
    sides=("left_accuracy", "right_accuracy"),
    cases=cases,
    compare=compare,
    expectation=expectation,
    at_any_time=True,
)

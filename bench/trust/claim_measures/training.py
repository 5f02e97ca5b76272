"""Claims about trainings: two networks, or one and a bound, by a figure that their learning curves give.

The patterns of such a claim are of configurations, the names of trainings without their seeds; what is compared
is the mean over the trainings of each. They need not be attacked, and no attack is named. Networks that a pattern
only matches and that have no partner are left out where others have one.

The trainings of a network differ in their seeds, so what is tested is whether another training would say the same
(`bench.measure.repeats`); the images are the same for all. A single training on a side leaves a comparison undecided.
With five trainings on either side the least p is 2 / 252, so it is adjusted within its claim alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.measure.training_figures import TRAINING_FIGURES
from bench.spec import Claim
from bench.trust.claim_measures.registry import Case, ClaimMeasure, Compared, Source, Tested
from bench.trust.claim_pairs import both_sides, partnered, unpaired

if TYPE_CHECKING:
    from bench.trust.claim_run import ClaimRun


def cases(run: ClaimRun, claim: Claim) -> list[Case]:
    """Return each pair of configurations, or each against the bound."""
    found = run.trainings.drop_duplicates("configuration")
    data = dict(zip(found["configuration"], found["data"], strict=True))
    return [
        Case(
            left=pair.left,
            right=None if claim.bound is not None else pair.right,
            name=pair.case,
            data=data.get(str(pair.left or pair.right)),
        )
        for pair in partnered(claim, data)
    ]


def compare(run: ClaimRun, claim: Claim, case: Case) -> Compared:
    """Return how the trainings of two configurations differ, or how those of one differ from the bound."""
    from bench.measure.repeats import means_apart

    if case.left is None or (case.right is None and claim.bound is None):
        return Compared(note=unpaired(claim, case.left, case.right, of="training"))
    sides = [
        _figures(run, title, claim.column) for title in (case.left, case.right) if title is not None
    ]
    none = (
        "trained in one phase alone"
        if claim.column == "phase_gain"
        else f"no {TRAINING_FIGURES[claim.column].called}"
    )
    source = Source(cells=(), figure=claim.column)
    if not all(sides):
        return Compared(note=_of_sides([("" if side else none) for side in sides]), left=source)
    means = [math.fsum(side) / len(side) for side in sides]
    left, right = means[0], means[1] if len(means) > 1 else float(claim.bound or 0)
    figures = {"left_value": left, "right_value": right, "difference": left - right,
               "n": min(map(len, sides))}  # fmt: skip
    note = _of_sides([("one training" if len(side) == 1 else "") for side in sides])
    if note:
        note += ": how much trainings differ is not known"
        return Compared(
            under={"study": Tested(figures=figures, alone=True)}, note=note, left=source
        )
    apart = means_apart(sides[0], sides[1] if len(sides) > 1 else right)
    figures |= {"low": apart.interval.low, "high": apart.interval.high, "p": apart.p}
    return Compared(under={"study": Tested(figures=figures)}, left=source)


def _figures(run: ClaimRun, configuration: str, column: str) -> list[float]:
    """Return a figure of each training of a configuration that has it."""
    own = run.trainings[run.trainings["configuration"] == configuration]
    return [float(value) for value in own[column].dropna()]


def _of_sides(notes: list[str]) -> str:
    return notes[0] if len(notes) == 1 else both_sides("", *notes)


def expectation(claim: Claim) -> str:
    """Return what a claim expects, such as `left > right in test accuracy`."""
    expected: str = claim.expect
    if claim.bound is not None:
        expected = expected.replace("bound", in_its_unit(claim, claim.bound))
    return f"{expected} in {TRAINING_FIGURES[claim.column].called}"


def in_its_unit(claim: Claim, value: float) -> str:
    """Return a number in the unit of a claim's figure: `80 %`, or `0.36`."""
    share = TRAINING_FIGURES[claim.column].unit == "share"
    return f"{100 * value:g} %" if share else f"{value:g}"


MEASURE = ClaimMeasure(
    name="training",
    noun="trainings",
    expects=("left > right", "left < right", "left > bound", "left < bound"),
    of_radii=False,
    about="trainings",
    figures=tuple(TRAINING_FIGURES),
    unit="figure",
    sides=("left_value", "right_value"),
    cases=cases,
    compare=compare,
    expectation=expectation,
)

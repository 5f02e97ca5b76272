"""Claims about how much the members of a model count for it, by the sum of their importances.

The patterns of such a claim are of members, and each model of the run that weighs its members has comparisons of its
own. A meta-learner is fitted once, so importances have no error: they are compared as they are, without a test.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.spec import Claim
from bench.trust.claim_measures.registry import Case, ClaimMeasure, Compared, Tested
from bench.trust.claim_pairs import partnered, unpaired

if TYPE_CHECKING:
    from bench.trust.claim_run import ClaimRun


def cases(run: ClaimRun, claim: Claim) -> list[Case]:
    """Return each pair of members of each model that weighs them; one empty case if there is none."""
    found = [
        Case(left=pair.left, right=pair.right, name=pair.case, data=model["data"], whole=model["model"])
        for model in run.outcomes.results.models
        if model.get("importances")
        for pair in partnered(claim, dict.fromkeys(model["importances"], model["data"]))
    ]  # fmt: skip
    complete = [case for case in found if case.left is not None and case.right is not None]
    return complete or found[:1] or [Case(left=None, right=None, name="", data=None)]


def compare(run: ClaimRun, claim: Claim, case: Case) -> Compared:
    """Return how much more one member counts than another."""
    if case.whole is None:
        return Compared(note="no model of this run weighs its members")
    if case.left is None or case.right is None:
        return Compared(note=unpaired(claim, case.left, case.right, of="member"))
    weights = next(
        model["importances"]
        for model in run.outcomes.results.models
        if model["model"] == case.whole
    )
    left, right = (math.fsum(weights[member]) for member in (case.left, case.right))
    figures = {"left_value": left, "right_value": right, "difference": left - right}
    return Compared(under={"study": Tested(figures=figures)}, note=f"members of {case.whole}")


def expectation(claim: Claim) -> str:
    """Return what a claim expects: `left > right in importance`."""
    return f"{claim.expect} in importance"


MEASURE = ClaimMeasure(
    name="importance",
    noun="importance",
    expects=("left > right", "left < right"),
    of_radii=False,
    about="members",
    unit="percent",
    sides=("left_value", "right_value"),
    cases=cases,
    compare=compare,
    expectation=expectation,
)

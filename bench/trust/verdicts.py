"""The outcome of a comparison under the study's attack and under the strongest, and its verdict.

A claim of a direction:

- holds if the difference is significant in its favour under the study's attack and under the strongest;
- fails if the difference is significant against it under the study's attack or, if that is undecided,
  under the strongest;
- holds only against weaker attacks if the study's attack supports it and the strongest attack shows that
  the lead is gone: the difference is significant against it, no image is robust on either side, or at most
  half of the lead is left. The last is tested on the same images: the 95 % interval under the strongest
  attack contains 0, and its end is below half of the study's lead on the images of the strongest;
- is undecided otherwise. A strong attack on too few images decides nothing.

If one side was attacked harder (`bench.trust.faced`), the other cannot be found ahead, both cannot be found
equal, and a lead cannot be found gone; what remains open is called unequal attacks.

In a run that added images to undecided comparisons a lead is gone where that was shown at any time
(`bench.trust.added_images`), and nothing follows from no image being robust so far.

Figures without an error, such as the passes of a fit, are compared as they are. A single training on a side
decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bench.spec import Claim
from bench.trust.claim_measures.registry import Statement, Tested, Under

LEVEL = 0.05

#: The largest share of the study's lead that may be left if the lead counts as gone.
GONE = 0.5

#: Verdicts of a comparison, the best first.
HOLDS = "holds"
WEAKER = "holds only against weaker attacks"
FAILS = "fails"
UNDECIDED = "undecided"
UNEQUAL = "unequal attacks"
UNJUDGED = "not judged"
VERDICTS = (HOLDS, WEAKER, FAILS, UNDECIDED, UNEQUAL, UNJUDGED)

#: What a claim may expect that is so if the difference is positive.
LEFT_AHEAD = ("left > right", "left > bound", "same order")

#: What the figures under one attack show about a claim.
Outcome = Literal["for", "against", "undecided", "unequal", "nothing left", "gone"]


def outcome(tested: Tested, claim: Claim) -> Outcome:
    """Return what the figures under one attack show about a claim.

    Args:
        tested: with `p_holm`, the adjusted p-value, among its figures if it has a p, unless equality is
            claimed of images that were fixed beforehand.
        claim: the one that the comparison belongs to.
    """
    figures, harder = tested.figures, tested.harder
    if tested.alone:
        return "undecided"
    if tested.shows:
        return _outcome_at_any_time(tested, claim)
    if tested.nothing_left:
        return "unequal" if harder else "nothing left"
    if tested.within is not None:
        return _outcome_of_equality(tested, tested.within)
    if "p" in figures and not figures["p_holm"] < LEVEL:
        return "undecided"
    if figures["difference"] == 0:
        return "against"  # numbers without an error, of which neither is the larger
    left_is_ahead = figures["difference"] > 0
    if harder not in ("", "left" if left_is_ahead else "right"):
        return "unequal"
    return "for" if left_is_ahead == (claim.expect in LEFT_AHEAD) else "against"


def _outcome_at_any_time(tested: Tested, claim: Claim) -> Outcome:
    """Return what was shown so far, in a run that added images."""
    # What the least p is multiplied by to be adjusted, the others are too.
    times = tested.figures["p_holm"] / tested.figures["p"]
    p_values = {
        statement: shown.p for statement, shown in tested.shows.items() if shown.p * times < LEVEL
    }
    gone = p_values.pop("gone", None) is not None and not tested.harder
    if not p_values:
        return "gone" if gone else "undecided"
    decided: Literal["for", "against"] = (
        "for" if p_values.get("for", 1.0) <= p_values.get("against", 1.0) else "against"
    )
    return decided if can_be_shown(tested, claim, decided) else "unequal"


def can_be_shown(tested: Tested, claim: Claim, statement: Statement) -> bool:
    """Return whether a statement follows from the figures if they show it, though one side was attacked harder."""
    if not tested.harder:
        return True
    if statement == "gone" or (statement == "for" and tested.within is not None):
        return False
    if tested.within is not None:
        left_is_ahead = tested.figures["difference"] > 0
    else:
        left_is_ahead = (statement == "for") == (claim.expect in LEFT_AHEAD)
    return tested.harder == ("left" if left_is_ahead else "right")


def _outcome_of_equality(tested: Tested, within: float) -> Outcome:
    """Return whether the interval of the difference lies inside, or wholly outside, of ± within."""
    low, high, harder = tested.figures["low"], tested.figures["high"], tested.harder
    if -within <= low and high <= within:
        return "unequal" if harder else "for"
    if low > within or high < -within:
        ahead = "left" if low > within else "right"
        return "against" if harder in ("", ahead) else "unequal"
    return "undecided"


def verdict(under: Mapping[Under, Tested], outcomes: Mapping[Under, Outcome], claim: Claim) -> str:
    """Return the verdict of a comparison.

    Args:
        under: how its sides differ, by attack; some comparisons have no strongest attack.
        outcomes: of `outcome`, by attack, where there were figures.
        claim: the one that the comparison belongs to.
    """
    study, strongest = outcomes.get("study"), outcomes.get("strongest")
    if study is None:
        return UNEQUAL if any(tested.harder for tested in under.values()) else UNJUDGED
    if study == "against":
        return FAILS
    if study != "for":
        if strongest == "against":
            return FAILS
        return UNEQUAL if study == "unequal" else UNDECIDED
    equal = claim.within is not None
    # Where the strongest attack leaves nothing on either side, nothing speaks against equality.
    if strongest in (None, "for") or (equal and strongest == "nothing left"):
        return HOLDS
    if strongest == "unequal":
        return UNEQUAL
    if strongest in ("against", "nothing left", "gone"):
        return WEAKER
    return WEAKER if not equal and _lead_is_gone(under["strongest"], claim) else UNDECIDED


def _lead_is_gone(strongest: Tested, claim: Claim) -> bool:
    """Return whether the strongest attack leaves at most half of the lead that the study's leaves."""
    if strongest.harder or strongest.shows:
        return False
    low, high, lead = (strongest.figures[name] for name in ("low", "high", "study"))
    if claim.expect == "left < right":
        low, high, lead = -high, -low, -lead
    return bool(low <= 0 and high < GONE * lead)

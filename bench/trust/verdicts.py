"""What a comparison comes to: its outcome under the study's attack and the strongest, and its verdict.

Of a direction:

- it holds if the study's attack and the strongest both tell the sides apart in its favour;
- it fails if either tells them apart against it, under the study's attack or, where that is undecided,
  under the strongest;
- it holds only against weaker attacks if the study's attack speaks for it and the strongest shows that
  this is gone: it speaks against it, leaves nothing on either side, or leaves at most half of the lead.
  For the last both are compared on the same images: the 95 % interval under the strongest attack has 0
  in it, and its end is below half of the study's lead on the images of the strongest;
- else it is undecided. A strong attack on too few images decides nothing.

Where one side was attacked harder (`bench.trust.faced`), the other cannot be found ahead, nor both
equal, nor a lead gone; what that leaves open is called unequal attacks.
"""

from __future__ import annotations

from typing import Any

from bench.spec import Claim

LEVEL = 0.05

#: What is left of the study's lead, at most, where it is said to be gone.
GONE = 0.5

#: Verdicts of a comparison, the best first.
HOLDS = "holds"
WEAKER = "holds only against weaker attacks"
FAILS = "fails"
UNDECIDED = "undecided"
UNEQUAL = "unequal attacks"
UNJUDGED = "not judged"
VERDICTS = (HOLDS, WEAKER, FAILS, UNDECIDED, UNEQUAL, UNJUDGED)

#: Before the names of figures under the strongest attack.
STRONGEST = "strongest_"

_UNEQUAL = "unequal"


def judge(row: dict[str, Any], claim: Claim) -> None:
    """Add the outcomes of a comparison and its verdict.

    Args:
        row: the figures of `bench.trust.comparisons.comparisons`, p-values adjusted.
        claim: the one it is of.
    """
    for prefix in ("", STRONGEST):
        if f"{prefix}p" in row:
            row[f"{prefix}outcome"] = _outcome(row, claim, prefix)
    row["verdict"] = _verdict(row, claim)


def _outcome(row: dict[str, Any], claim: Claim, prefix: str) -> str:
    """Return what the figures say of a claim under one attack."""
    harder = row.get(f"{prefix}harder", "")
    if row.get(f"{prefix}left_accuracy") == row.get(f"{prefix}right_accuracy") == 0:
        return _UNEQUAL if harder else "nothing left"
    if claim.within is not None:
        low, high, within = row[f"{prefix}low"], row[f"{prefix}high"], claim.within / 100
        if -within <= low and high <= within:
            return _UNEQUAL if harder else "for"
        if low > within or high < -within:
            return "against" if harder in ("", "left" if low > within else "right") else _UNEQUAL
        return "undecided"
    if not row[f"{prefix}p_holm"] < LEVEL:
        return "undecided"
    ahead = row[f"{prefix}difference"] > 0
    if harder not in ("", "left" if ahead else "right"):
        return _UNEQUAL
    return "for" if ahead == (claim.expect in ("left > right", "same order")) else "against"


def _verdict(row: dict[str, Any], claim: Claim) -> str:
    """Return the verdict of a comparison; of some there is no strongest attack."""
    study, strongest = row.get("outcome"), row.get(f"{STRONGEST}outcome")
    if study is None:
        return UNEQUAL if row.get("harder") else UNJUDGED
    if study == "against":
        return FAILS
    if study != "for":
        if strongest == "against":
            return FAILS
        return UNEQUAL if study == _UNEQUAL else UNDECIDED
    equal = claim.within is not None
    # Where the strongest attack leaves nothing on either side, nothing speaks against equality.
    if strongest in (None, "for") or (equal and strongest == "nothing left"):
        return HOLDS
    if strongest == _UNEQUAL:
        return UNEQUAL
    gone = strongest in ("against", "nothing left") or (not equal and _gone(row, claim))
    return WEAKER if gone else UNDECIDED


def _gone(row: dict[str, Any], claim: Claim) -> bool:
    """Return whether the strongest attack leaves at most half of the lead that the study's leaves."""
    if row[f"{STRONGEST}harder"]:
        return False
    low, high, lead = row[f"{STRONGEST}low"], row[f"{STRONGEST}high"], row[f"{STRONGEST}study"]
    if claim.expect == "left < right":
        low, high, lead = -high, -low, -lead
    return bool(low <= 0 and high < GONE * lead)

"""What became of each claim of a study, from the comparisons it is made of."""

from __future__ import annotations

import pandas as pd

from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE
from bench.spec import Claim
from bench.store.results import Results
from bench.trust.critical_eps_claims import named
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNEQUAL, VERDICTS

#: How many comparisons of a claim have each of `VERDICTS`.
_COUNTS = ("holds", "weaker", "fails", "undecided", "unequal", "unjudged")


def claims(results: Results, compared: pd.DataFrame) -> pd.DataFrame:
    """Return what became of each claim of a run.

    Args:
        results: the cells of a suite's last run.
        compared: of `bench.trust.comparisons.comparisons`.

    Returns:
        A row a claim: `claim` (its number), `says, expect, attacks` (the study's, in words),
        `norm, eps` (as text), `comparisons` (how many), `holds, weaker, fails, undecided, unequal,
        unjudged` (how many of them), `verdict` (one for the whole: that of the comparisons where they are all
        alike, else `holds in part`, `fails in part` or `mixed`) and `summary` (the counts in
        words, or why it is not judged).
    """
    found = []
    for turn, claim in enumerate(results.claims, 1):
        mine = compared[compared["claim"] == turn]
        counts = [int((mine["verdict"] == verdict).sum()) for verdict in VERDICTS]
        found.append({
            "claim": turn,
            "says": claim.says,
            "expect": claim.expect
            + (f" in {_figure(claim)}" if claim.measure == "critical_eps" else "")
            + (f" of {ordered(claim)}" if claim.measure == "order" else "")
            + ("" if claim.within is None else f" within {claim.within:g} points"),
            "attacks": _attacks(claim),
            "norm": claim.norm,
            "eps": ", ".join(claim.eps),
            "comparisons": len(mine),
            **dict(zip(_COUNTS, counts, strict=True)),
            "verdict": _overall(mine, counts),
            "summary": "; ".join([_summary(mine, counts), *_unseen(mine)]),
        })  # fmt: skip
    names = (
        "claim", "says", "expect", "attacks", "norm", "eps", "comparisons", "holds", "weaker",
        "fails", "undecided", "unequal", "unjudged", "verdict", "summary",
    )  # fmt: skip
    return pd.DataFrame(found, columns=list(names))


def ordered(claim: Claim) -> str:
    """Return by what a claim orders models, in words."""
    alike = claim.right_attacks is None
    return f"accuracy and {_figure(claim)}" if alike else f"{_figure(claim)} of both"


def _figure(claim: Claim) -> str:
    """Return the figure of the radii that a claim is about."""
    return "critical eps" if claim.figure is None else named(claim.figure)


def _attacks(claim: Claim) -> str:
    """Return the study's attacks in words."""
    said = ", ".join(claim.attacks) or "no attack"
    if claim.right_attacks is not None:
        said += f" against {', '.join(claim.right_attacks)}"
    return said + (f" through {', '.join(claim.surfaces)}" if claim.surfaces else "")


def _overall(compared: pd.DataFrame, counts: list[int]) -> str:
    """Return one verdict for all comparisons of a claim."""
    holds, weaker, fails, *_ = counts
    if max(counts) == len(compared):
        verdict = VERDICTS[counts.index(len(compared))]
        return _at(compared) if verdict == UNDECIDED else verdict
    if fails and (holds or weaker):
        return "mixed"
    if fails:
        return f"{FAILS} in part"
    if holds:
        return f"{HOLDS} in part"
    if weaker:
        return "holds in part, only against weaker attacks"
    return _at(compared) if UNDECIDED in set(compared["verdict"]) else UNEQUAL


def _summary(compared: pd.DataFrame, counts: list[int]) -> str:
    """Return in words how the comparisons of a claim came out."""
    total, unjudged = len(compared), counts[-1]
    if unjudged == total:
        reasons = list(compared["note"].unique())
        more = f", and {len(reasons) - 1} other reasons" if len(reasons) > 1 else ""
        return f"{reasons[0]}{more}"
    if max(counts) == total:
        return f"{total} of {total}"
    said = [
        f"{_at(compared) if verdict == UNDECIDED else verdict} in {count}"
        for verdict, count in zip(VERDICTS, counts, strict=True)
        if count
    ]
    said[0] += f" of {total}"
    return ", ".join(said)


def _unseen(compared: pd.DataFrame) -> list[str]:
    """Return what the attacks behind some comparisons did not see of a random model."""
    return [said for said in (ONE_DRAW, WITHOUT_NOISE) if compared["note"].str.contains(said).any()]


def _at(compared: pd.DataFrame) -> str:
    """Return how many images left comparisons undecided."""
    images = sorted(set(compared.loc[compared["verdict"] == UNDECIDED, "n"]))
    span = str(images[0]) if len(images) == 1 else f"{images[0]} to {images[-1]}"
    return f"{UNDECIDED} at n = {span}"

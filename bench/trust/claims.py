"""The verdict on each claim of a study, from its comparisons."""

from __future__ import annotations

import pandas as pd

from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE
from bench.spec import Claim
from bench.store.results import Results
from bench.trust.claim_measures.perturbation import attacks_of
from bench.trust.claim_measures.registry import claim_measures_by_name
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNEQUAL, VERDICTS

#: How many comparisons of a claim have each of `VERDICTS`.
_COUNTS = ("holds", "weaker", "fails", "undecided", "unequal", "unjudged")


def claims(results: Results, compared: pd.DataFrame) -> pd.DataFrame:
    """Return the verdict on each claim of a run.

    Args:
        results: the cells of a suite's last run.
        compared: of `bench.trust.comparisons.comparisons`.

    Returns:
        A row a claim: `claim` (its number), `says, expect, attacks` (the study's, in words),
        `norm, eps` (as text), `comparisons` (how many), `images` (that they were made on, such as `200` or
        `200 to 800`; trainings of those that compare these), `holds, weaker, fails, undecided, unequal,
        unjudged` (how many of them), `verdict` (that of the comparisons if they all agree, else `holds in
        part`, `fails in part` or `mixed`) and `summary` (the counts in words, or why it is not judged).
    """
    measures, rows = claim_measures_by_name(), []
    for turn, claim in enumerate(results.claims, 1):
        of_claim = compared[compared["claim"] == turn]
        counts = [int((of_claim["verdict"] == verdict).sum()) for verdict in VERDICTS]
        rows.append({
            "claim": turn,
            "says": claim.says,
            "expect": measures[claim.measure].expectation(claim),
            "attacks": _attacks(claim),
            "norm": claim.norm,
            "eps": ", ".join(claim.eps),
            "comparisons": len(of_claim),
            "images": _span(of_claim["n"]),
            **dict(zip(_COUNTS, counts, strict=True)),
            "verdict": _overall(of_claim, counts),
            "summary": "; ".join([_summary(of_claim, counts), *_unseen(of_claim)]),
        })  # fmt: skip
    names = (
        "claim", "says", "expect", "attacks", "norm", "eps", "comparisons", "images", "holds",
        "weaker",
        "fails", "undecided", "unequal", "unjudged", "verdict", "summary",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(names))


def _attacks(claim: Claim) -> str:
    """Return the study's attacks in words."""
    if claim.settings:
        return attacks_of(claim)
    attacks = ", ".join(claim.attacks) or "no attack"
    if claim.right_attacks is not None:
        attacks += f" against {', '.join(claim.right_attacks)}"
    return attacks + (f" through {', '.join(claim.surfaces)}" if claim.surfaces else "")


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
    """Return a summary of a claim's comparisons in words."""
    total, unjudged = len(compared), counts[-1]
    if unjudged == total:
        reasons = list(compared["note"].unique())
        others = len(reasons) - 1
        more = f", and {others} other reason{'s' if others > 1 else ''}" if others else ""
        return f"{reasons[0]}{more}"
    if max(counts) == total:
        return f"{total} of {total}"
    parts = [
        f"{_at(compared) if verdict == UNDECIDED else verdict} in {count}"
        for verdict, count in zip(VERDICTS, counts, strict=True)
        if count
    ]
    parts[0] += f" of {total}"
    return ", ".join(parts)


def _unseen(compared: pd.DataFrame) -> list[str]:
    """Return notes on noise of a random model that the attacks of some comparisons did not see."""
    return [note for note in (ONE_DRAW, WITHOUT_NOISE) if compared["note"].str.contains(note).any()]


def _at(compared: pd.DataFrame) -> str:
    """Return how many images, or trainings a side, left comparisons undecided."""
    undecided = compared[compared["verdict"] == UNDECIDED]
    span = _span(undecided["n"])
    if (undecided["measure"] == "training").all():
        return f"{UNDECIDED} from {span} training{'' if span.split(' ')[-1] == '1' else 's'}"
    return f"{UNDECIDED} at n = {span}"


def _span(counts: pd.Series[int]) -> str:
    """Return the least and the largest of some counts: `200`, or `200 to 800`; empty without any."""
    known = sorted(set(counts.dropna()))
    return " to ".join(str(count) for count in dict.fromkeys([*known[:1], *known[-1:]]))

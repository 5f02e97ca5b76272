"""What becomes of a claim whose comparisons came out this way and that."""

from __future__ import annotations

import build
import pytest
from build import cell, claim

from bench.measure.outcomes import Outcomes
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNEQUAL, UNJUDGED, WEAKER

CELLS = [cell("a", "pgd", "0.1", []), cell("b", "pgd", "0.1", [])]


def judged(*verdicts: str, n: tuple[int, ...] = (200,)):
    """Return a claim's row, given the verdicts of its comparisons."""
    results = build.results(CELLS, claim(eps=("0.1",) * len(verdicts)))
    compared = comparisons(Outcomes(results))
    compared["verdict"] = list(verdicts)
    compared["n"] = [n[turn % len(n)] for turn in range(len(verdicts))]
    compared["note"] = ["why" if verdict == UNJUDGED else "" for verdict in verdicts]
    return claims(results, compared).iloc[0]


@pytest.mark.parametrize(("verdicts", "verdict", "summary"), [
    ((HOLDS,) * 3, "holds", "3 of 3"),
    ((WEAKER,) * 2, "holds only against weaker attacks", "2 of 2"),
    ((FAILS,), "fails", "1 of 1"),
    ((UNDECIDED,) * 2, "undecided at n = 200", "2 of 2"),
    ((UNJUDGED,) * 2, "not judged", "why"),
    ((HOLDS, HOLDS, FAILS, UNDECIDED), "mixed",
     "holds in 2 of 4, fails in 1, undecided at n = 200 in 1"),
    ((WEAKER, FAILS), "mixed", "holds only against weaker attacks in 1 of 2, fails in 1"),
    ((HOLDS, WEAKER), "holds in part", "holds in 1 of 2, holds only against weaker attacks in 1"),
    ((HOLDS, UNJUDGED), "holds in part", "holds in 1 of 2, not judged in 1"),
    ((FAILS, UNDECIDED), "fails in part", "fails in 1 of 2, undecided at n = 200 in 1"),
    ((WEAKER, UNDECIDED), "holds in part, only against weaker attacks",
     "holds only against weaker attacks in 1 of 2, undecided at n = 200 in 1"),
    ((UNEQUAL,) * 2, "unequal attacks", "2 of 2"),
    ((UNEQUAL, UNJUDGED), "unequal attacks", "unequal attacks in 1 of 2, not judged in 1"),
    ((UNDECIDED, UNJUDGED), "undecided at n = 200", "undecided at n = 200 in 1 of 2, not judged in 1"),
])  # fmt: skip
def test_the_verdict_is_that_of_all_or_says_that_they_differ(verdicts, verdict, summary):
    row = judged(*verdicts)
    assert (row["verdict"], row["summary"]) == (verdict, summary)
    counts = row[["holds", "weaker", "fails", "undecided", "unequal", "unjudged"]]
    assert sum(counts) == row["comparisons"] == len(verdicts)
    assert counts["unjudged"] == verdicts.count(UNJUDGED)


def test_it_is_said_how_many_images_left_it_open():
    assert judged(UNDECIDED, UNDECIDED, n=(100, 200))["verdict"] == "undecided at n = 100 to 200"


def test_what_was_asked_is_in_words():
    asked = [
        claim(attacks=("pgd", "bim"), surfaces=("network",), eps=("0.1", "14/255")),
        claim(right=None, attacks=("fgsm",), right_attacks=("pgd",)),
        claim(attacks=(), eps=("0",), expect="left = right", within=2.5),
    ]
    results = build.results(CELLS, *asked)
    table = claims(results, comparisons(Outcomes(results)))
    assert list(table["attacks"]) == ["pgd, bim through network", "fgsm against pgd", "no attack"]
    assert list(table["eps"]) == ["0.1, 14/255", "0.1", "0"]
    assert table["expect"].iloc[2] == "left = right within 2.5 points"
    assert list(table["claim"]) == [1, 2, 3]


def test_several_reasons_are_counted():
    asked = claim(left="*", right=None, attacks=("fgsm",), right_attacks=("bim",))
    mixed = build.results([*CELLS, cell("b", "fgsm", "0.1", [])], asked)
    row = claims(mixed, comparisons(Outcomes(mixed))).iloc[0]
    assert row["verdict"] == UNJUDGED
    assert (
        row["summary"] == "left: no fgsm in this run; right: no bim in this run, and 1 other reason"
    )

"""Which comparisons of a run more images can decide, and about how many it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import norm

from bench.trust.claim_measures.registry import Shown, Tested, Under
from bench.trust.comparisons import Comparison
from bench.trust.verdicts import LEVEL, UNDECIDED, Outcome, can_be_shown

#: The largest part of a difference that a bettor wins an image, about; see `bench.measure.anytime`.
_MOST_WON = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is still to be decided of a comparison under one attack.

    Attributes:
        comparison: that it belongs to.
        under: the attack.
        models: titles of both sides.
        cells: keys of those that get the images; empty on clean images, which any cell of a model has.
        images: how many it has.
        most: how many there are.
        needed: about how many more decide it, if it goes on as so far; infinite where none do.
    """

    comparison: Comparison
    under: Under
    models: tuple[str, str]
    cells: tuple[str, ...]
    images: int
    most: int
    needed: float


def open_questions(compared: Sequence[Comparison]) -> list[Question]:
    """Return what more images can decide of the comparisons of a run, of `bench.trust.comparisons.judged`.

    Under the study's attack first. The strongest attack is asked where the study's supports the claim, or
    where it may refute what the study's leaves open.
    """
    waiting = sum(
        outcome == "undecided" and bool(comparison.compared.under[attack].shows)
        for comparison in compared
        for attack, outcome in comparison.outcomes.items()
    )
    enough = LEVEL / max(1, waiting)
    questions = []
    for comparison in compared:
        if comparison.verdict != UNDECIDED:
            continue
        outcomes = comparison.outcomes
        for attack, tested in comparison.compared.under.items():
            images = int(tested.figures.get("n", 0))
            if not tested.shows or images >= tested.most or outcomes[attack] != "undecided":
                continue
            needed = _needed(comparison, attack, outcomes.get("study"), enough)
            if needed is not None:
                questions.append(Question(
                    comparison=comparison, under=attack,
                    models=(str(comparison.case.left), str(comparison.case.right)),
                    cells=tested.cells, images=images, most=tested.most, needed=needed,
                ))  # fmt: skip
    return questions


def _needed(
    comparison: Comparison, attack: Under, study: Outcome | None, enough: float
) -> float | None:
    """Return about how many more images decide a question; None where nothing they show helps.

    Args:
        comparison: the comparison.
        attack: under which it is asked.
        study: what is shown under the study's attack.
        enough: the p-value that decides it.
    """
    tested = comparison.compared.under[attack]
    helpful = [
        shown
        for statement, shown in tested.shows.items()
        if can_be_shown(tested, comparison.claim, statement)
        # As long as the study's attack supports nothing, the strongest can only refute the claim.
        and (attack == "study" or study == "for" or statement == "against")
    ]
    return min((_images_until(shown, tested, enough) for shown in helpful), default=None)


def _images_until(shown: Shown, tested: Tested, enough: float) -> float:
    """Return about how many more images show a statement, if they are as those so far.

    A bettor wins about mean^2 / (2 square) an image; all images are tested by their mean too.
    """
    if shown.mean <= 0 or not enough < 1:
        return math.inf
    won = min(shown.mean**2 / (2 * shown.square), _MOST_WON * shown.mean)
    needed = max(1.0, math.log(shown.p / enough) / won)
    left = tested.most - tested.figures["n"]
    spread = max(shown.square - shown.mean**2, 1e-12)
    at_the_end = 4 * float(norm.sf(shown.mean * (tested.most / spread) ** 0.5))
    if needed > left:
        return float(left) if at_the_end <= enough else math.inf
    return needed

"""Which comparisons more images can decide, and how many it takes, on planted outcomes."""

from __future__ import annotations

import math

import build
import numpy as np
import pytest
from build import cell, claim

from bench.measure.outcomes import Outcomes
from bench.store.added import Added
from bench.trust.claim_run import ClaimRun
from bench.trust.comparisons import judged
from bench.trust.open_questions import open_questions
from bench.trust.verdicts import UNDECIDED

IMAGES = 200


def asked(cells, *claims, images=IMAGES, most=10_000):
    added = Added(whole=dict.fromkeys("abc", most))
    return judged(ClaimRun(Outcomes(build.results(cells, *claims, images=images, added=added))))


def pairs(study, strongest):
    return [
        *(cell(model, "pgd", "0.1", hit) for model, hit in zip("ab", study, strict=True)),
        *(cell(model, "bim", "0.1", hit) for model, hit in zip("ab", strongest, strict=True)),
    ]


@pytest.mark.parametrize(("study", "strongest", "under"), [
    (([], range(4)), ([], []), ["study"]),  # the strongest speaks for the claim as yet
    (([], range(4)), (range(10), []), ["study", "strongest"]),  # it may refute the claim
    (([], range(0, 200, 3)), (range(1, 200, 5), []), ["strongest"]),
    (([], range(0, 200, 3)), ([], []), []),  # decided
    (([], []), ([], []), ["study"]),  # it takes for ever, but may turn out otherwise
])  # fmt: skip
def test_what_is_asked_next(study, strongest, under):
    questions = open_questions(asked(pairs(study, strongest), claim()))
    finite = [question for question in questions if question.under in under]
    assert [question.under for question in finite] == under
    assert all(math.isinf(one.needed) for one in questions if one.under not in under)


def test_a_question_names_what_gets_the_images():
    cells = [
        cell("a", "pgd", "0.1", []),
        cell("b", "pgd", "0.1", range(4)),
        cell("b", "pgd", "0.2", []),
    ]
    (question, *_) = open_questions(asked(cells, claim(), claim(attacks=(), eps=("0",))))
    assert question.cells == ("cell-0", "cell-1")
    assert (question.models, question.images, question.most) == (("a", "b"), IMAGES, 10_000)
    clean = open_questions(asked(cells, claim(attacks=(), eps=("0",))))
    assert [question.cells for question in clean] == [()]


def test_nothing_is_asked_of_all_images_of_other_measures_or_where_nothing_helps():
    few = pairs(([], range(4)), ([], []))
    assert open_questions(asked(few, claim(), most=IMAGES)) == []
    harder = [
        cell(model, "pgd", "0.1", hit, parameters={"steps": steps})
        for model, hit, steps in (("a", [1, 2], 10), ("b", [], 20))
    ]
    # Only the side that was attacked harder can be found ahead, and equality cannot be found at all.
    equal = claim(expect="left = right", within=1.0)
    assert open_questions(asked(harder, claim(right_attacks=("pgd",), left="a", right="b")))
    of_equality = asked(harder, equal)
    assert [one.verdict for one in of_equality] == [UNDECIDED]
    radius = claim(attacks=("fgsm-radius",), measure="critical_eps", eps=())
    radii = [
        cell(model, "fgsm-radius", None, [], radii=[0.1] * IMAGES, toolkit="native")
        for model in "ab"
    ]
    assert open_questions(asked(radii, radius)) == []


@pytest.mark.parametrize("shares", [(0.1, 0.04), (0.03, 0.0), (0.3, 0.2)])
def test_the_images_that_it_seems_to_take_are_about_those_that_it_takes(shares):
    """Both sides are as far apart on later images as on the first 200."""
    rng, most = np.random.default_rng(0), 4000
    drawn = rng.random(most)
    drawn[:IMAGES] = (np.arange(IMAGES) + 0.5) / IMAGES  # just these shares
    rng.shuffle(drawn[:IMAGES])
    left, right = drawn < shares[1], drawn > 1 - shares[0]

    def pair(images):
        cells = [
            cell("a", "pgd", "0.1", np.flatnonzero(left[:images]).tolist()),
            cell("b", "pgd", "0.1", np.flatnonzero(right[:images]).tolist()),
        ]
        return asked(cells, claim(), images=images)

    (question, *_) = open_questions(pair(IMAGES))
    taken = next(n for n in range(IMAGES, most, 50) if pair(n)[0].verdict != UNDECIDED)
    assert (taken - IMAGES) / 3 < question.needed < 3 * (taken - IMAGES) + 100

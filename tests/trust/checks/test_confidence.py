"""Attacks that go the wrong way make models surer of the right label."""

from __future__ import annotations

import numpy as np
from planted import SURROGATE, each, one, pgd

from bench.trust.checks.confidence import CONFIDENCE


def surer(count, broken=(), **more):
    """Return PGD after which the model, sure to 0.9 before, is surer of the first images that keep their label."""
    sure = np.where(np.arange(200) < count, 0.95, 0.85)
    return pgd("0.1", broken, columns={"adv_confidence": sure}, **more)


def test_an_attack_of_the_wrong_sign_is_a_failure():
    finding = one(CONFIDENCE, surer(180))
    assert (finding.status, finding.value, finding.cell) == ("fail", 0.9, "cell-0")
    assert finding.sentence == (
        "pgd (torchattacks) leaves the model surer of the right label on 180 of 200 images that keep it, so it goes "
        "the wrong way"
    )


def test_chance_lost_labels_other_attacks_and_surrogates_are_no_failure():
    assert each(
        CONFIDENCE,
        [surer(30)],
        [surer(31)],  # the one-sided binomial test of a tenth has p = 0.0095
        [surer(100, broken=range(80))],
        [surer(180), surer(0, toolkit="art")],
        [surer(120, surface=SURROGATE)],
        [surer(150, surface=SURROGATE)],
    ) == ["pass", "fail", "pass", "warn", "pass", "warn"]


def test_an_attack_that_only_draws_noise_does_not_follow_the_gradient():
    sentence = one(CONFIDENCE, surer(100)).sentence
    assert sentence.endswith(
        "on 100 of 200 images that keep it, so it does not follow the gradient"
    )


def test_confidence_that_does_not_change_says_nothing():
    same = pgd("0.1", [], columns={"adv_confidence": 0.9})
    assert one(CONFIDENCE, same).status == "not applicable"

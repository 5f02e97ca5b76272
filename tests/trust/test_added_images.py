"""How claims are judged in a run that added images to undecided comparisons, on planted outcomes."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import build
import numpy as np
import pandas as pd
import pytest
from build import cell, claim

from bench.measure.anytime import paired_evidence
from bench.measure.outcomes import Outcomes
from bench.measure.statistics import holm, mcnemar
from bench.store.added import Added
from bench.trust import sides
from bench.trust.claim_run import ClaimRun
from bench.trust.comparisons import comparisons, judged
from bench.trust.faced import Faced
from bench.trust.sides import Side, Sides
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNEQUAL, UNJUDGED, WEAKER

IMAGES = 200
EVERY, MANY, FEW = range(IMAGES), range(0, IMAGES, 3), range(0, 20, 7)


def table(cells, *claims, most=1000, **more):
    """Return the comparisons of a run that added images, of models that `most` images can be attacked on."""
    found = build.results(
        cells, *claims, images=IMAGES, added=Added(whole=dict.fromkeys("abc", most)), **more
    )
    return comparisons(Outcomes(found))


def cells_of(study, strongest):
    """Return cells of a study's attack and of another one, which broke these images of `a` and of `b`."""
    return [
        *(cell(model, "pgd", "0.1", hit) for model, hit in zip("ab", study, strict=True)),
        *(cell(model, "bim", "0.1", hit) for model, hit in zip("ab", strongest, strict=True)),
    ]


def robust(broken):
    return ~np.isin(np.arange(IMAGES), list(broken))


def test_p_is_the_inverse_of_the_largest_e_value_at_half_of_the_level():
    row = table([cell("a", "pgd", "0.1", FEW), cell("b", "pgd", "0.1", MANY)], claim()).iloc[0]
    evidence = paired_evidence(robust(FEW), robust(MANY), "left > right")
    assert row["e"] == evidence.e > 1000
    assert row["p"] == 2 / evidence.e
    assert (row["low"], row["high"]) == evidence.interval
    # The same under the strongest attack, which is the study's here: both are adjusted together.
    assert row["p_holm"] == row["strongest_p_holm"] == 2 * row["p"]
    assert (row["n"], row["verdict"]) == (IMAGES, HOLDS)


def test_the_exact_test_counts_where_all_images_were_used_and_only_there():
    # So late that no bettor has won anything before: of 400 images only the last ones differ.
    broken = range(IMAGES - 13, IMAGES)
    cells = [cell("a", "pgd", "0.1", []), cell("b", "pgd", "0.1", broken)]
    asked = claim(right_attacks=("pgd",))  # no strongest
    before, at_the_end = (table(cells, asked, most=most).iloc[0] for most in (1000, IMAGES))
    evidence = paired_evidence(robust([]), robust(broken), "left > right")
    assert before["p"] == 2 / evidence.e > at_the_end["p"] == 2 * mcnemar(13, 0)
    assert at_the_end["verdict"] == HOLDS


def test_what_cannot_be_judged_counts_in_the_adjustment_all_the_same():
    cells = cells_of((FEW, MANY), (FEW, MANY))
    asked = [claim(), claim(right="c"), claim(attacks=(), eps=("0",))]
    found = table([*cells, cell("c", "fgsm", "0.1", [])], *asked)
    assert list(found["verdict"]) == [HOLDS, UNJUDGED, UNDECIDED]
    # Two comparisons under attack, each by two attacks, and one on clean images.
    p = found["p"][0]
    assert list(found["p_holm"].dropna()) == [holm([p, p, 1, 1, 1])[0], 1.0]


@pytest.mark.parametrize(("study", "strongest", "verdict"), [
    (([], MANY), ([], []), HOLDS),
    (([], MANY), (MANY, []), WEAKER),  # nothing is left of the lead
    (([], MANY), (range(150), []), WEAKER),  # the other one is ahead
    (([], MANY), (EVERY, EVERY), WEAKER),
    (([], MANY), (range(1, IMAGES, 5), []), UNDECIDED),  # less than half is left, but not surely
    ((MANY, []), ([], []), FAILS),
    (([], []), (MANY, []), FAILS),
    (([], []), ([], MANY), UNDECIDED),
    ((EVERY, EVERY), ([], []), UNDECIDED),
])  # fmt: skip
def test_each_verdict_of_a_direction(study, strongest, verdict):
    assert list(table(cells_of(study, strongest), claim())["verdict"]) == [verdict]
    mirrored = claim(left="b", right="a", expect="left < right")
    assert list(table(cells_of(study, strongest), mirrored)["verdict"]) == [verdict]


@pytest.mark.parametrize(("study", "strongest", "verdict"), [
    (([1], [2]), ([], []), HOLDS),
    (([1], [2]), ([], MANY), WEAKER),
    (([1], [2]), (EVERY, EVERY), HOLDS),
    ((MANY, []), ([], []), FAILS),
    (([], range(0, 200, 20)), ([], []), UNDECIDED),  # just as far apart as counts as equal
])  # fmt: skip
def test_each_verdict_of_equality_which_is_adjusted_too(study, strongest, verdict):
    row = table(cells_of(study, strongest), claim(expect="left = right", within=10.0)).iloc[0]
    assert row["verdict"] == verdict
    assert row["p_holm"] >= row["p"]
    assert (row["outcome"] == "undecided") == (row["p_holm"] >= 0.05)


def test_the_side_that_was_attacked_harder_alone_can_be_found_ahead():
    cells = [
        cell("a", "pgd", "0.1", FEW, parameters={"steps": 10}),
        cell("b", "pgd", "0.1", MANY, parameters={"steps": 20}),
    ]
    assert list(table(cells, claim())["verdict"]) == [UNEQUAL]
    cells = [dataclasses.replace(cells[0], parameters={"steps": 30}), cells[1]]
    assert list(table(cells, claim())["verdict"]) == [HOLDS]


def test_measures_without_such_a_test_are_judged_on_the_images_that_the_suite_asks_for():
    radii = [np.linspace(0.1, 0.2, IMAGES), np.linspace(0.1, 0.2, IMAGES) + 0.004]
    cells = [
        cell(model, "fgsm-radius", None, [], radii=list(radii[turn]), toolkit="native")
        for turn, model in enumerate("ab")
    ]
    asked = claim(
        attacks=("fgsm-radius",),
        measure="critical_eps",
        eps=(),
        figure="median",
        expect="left < right",
    )
    every = table(cells, asked).iloc[0]
    few = table(cells, asked, asked_images={"cell-0": 60, "cell-1": 60}).iloc[0]
    assert (every["n"], few["n"]) == (IMAGES, 60)
    assert few["left_critical_eps"] == pytest.approx(np.median(radii[0][:60]), abs=1e-3)
    assert few["verdict"] == UNDECIDED
    assert few["note"] == "by the median radius; no images are added for critical eps"
    assert pd.isna(few["e"])


def test_all_images_are_attacked_alike_under_the_strongest():
    """An attack within another radius, on the first images alone, does not count in such a run."""
    cells = cells_of((FEW, MANY), (FEW, MANY))
    more = [cell(model, "pgd", "0.05", range(40), images=100) for model in "ab"]
    found = table([*cells, *more], claim()).iloc[0]
    assert found["strongest_left_accuracy"] == found["left_accuracy"]
    fixed = comparisons(Outcomes(build.results([*cells, *more], claim(), images=IMAGES))).iloc[0]
    assert fixed["strongest_left_accuracy"] < fixed["left_accuracy"]


def _sides(rng, models, images):
    """Return sides by title under two attacks, of models that are all alike."""
    hard = rng.random(images)  # images that are hard for one are hard for all
    study = {title: hard + rng.normal(0, 0.3, images) > 0.5 for title in models}
    strongest = {title: kept & (rng.random(images) < 0.8) for title, kept in study.items()}
    return study, strongest


@pytest.mark.long
def test_of_studies_without_a_difference_at_most_5_percent_ever_decide_wrongly(monkeypatch):
    """Looked at after each image, under both attacks, and by the exact test at the end: all that may decide."""
    rng, images, models = np.random.default_rng(0), 250, "abcdef"
    asked = [claim(left=title, right="a") for title in models[1:]]
    asked.append(claim(left="b", right="c", expect="left < right"))
    run = SimpleNamespace(
        data=dict.fromkeys(models, "digits"),
        added=Added(whole=dict.fromkeys(models, images)),
        outcomes=SimpleNamespace(results=SimpleNamespace(claims=asked)),
    )
    drawn = {}

    def pair(kind, titles):
        left, right = (Side(*[pd.Series(drawn[kind][title])] * 2) for title in titles)
        return Sides(left, right, Faced(left=(), right=()))

    monkeypatch.setattr(
        sides, "under_study", lambda run, claim, titles, radius: pair("study", titles)
    )
    monkeypatch.setattr(
        sides, "under_strongest", lambda run, titles, norm, radius: pair("strongest", titles)
    )
    wrong, studies = 0, 1000
    for _ in range(studies):
        drawn["study"], drawn["strongest"] = _sides(rng, models, images)
        wrong += any(comparison.verdict != UNDECIDED for comparison in judged(run))
    assert 0 < wrong / studies <= 0.05


def test_a_run_knows_its_outcomes_on_the_images_that_the_suite_asks_for():
    cells = [cell("a", "pgd", "0.1", FEW), cell("b", "pgd", "0.1", MANY)]
    found = build.results(cells, claim(), images=IMAGES, asked_images={"cell-0": 50})
    run = ClaimRun(Outcomes(found))
    assert dict(run.as_asked.outcomes.results.rows["cell"].value_counts()) == {
        "cell-0": 50,
        "cell-1": IMAGES,
    }
    assert ClaimRun(run.outcomes, known_asked=run.as_asked).as_asked is run.as_asked
    plain = ClaimRun(Outcomes(build.results(cells, claim())))
    assert plain.as_asked is plain

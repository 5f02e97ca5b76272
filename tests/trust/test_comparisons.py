"""Comparisons on planted outcomes: who broke which image is known, so every figure is."""

from __future__ import annotations

import dataclasses

import build
import numpy as np
import pandas as pd
import pytest
from build import IMAGES, cell, claim
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.statistics import holm, mcnemar, paired_difference
from bench.trust.comparisons import comparisons
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNEQUAL, UNJUDGED, WEAKER

MANY = range(50, 100)  # broken on one side alone: p is far below 0.05
ALL = range(IMAGES)


def only(results):
    """Return the one comparison of some results."""
    table = comparisons(Outcomes(results))
    assert len(table) == 1
    return table.iloc[0]


def test_figures_are_those_of_the_images_of_both_sides():
    cells = [cell("a", "pgd", "0.1", [1, 2, 3]), cell("b", "pgd", "0.1", range(2, 20))]
    row = only(build.results(cells, claim(), wrong={"a": [10, 11], "b": [0]}))
    left, right = {1, 2, 3, 10, 11}, {0, *range(2, 20)}
    assert (row["n"], row["left"], row["right"], row["data"]) == (IMAGES, "a", "b", "digits")
    assert row["left_accuracy"] == 1 - len(left) / IMAGES
    assert row["right_accuracy"] == 1 - len(right) / IMAGES
    assert (row["only_left"], row["only_right"]) == (len(right - left), len(left - right))
    effect, (low, high) = paired_difference(len(right - left), len(left - right), IMAGES)
    assert (row["difference"], row["low"], row["high"]) == (effect, low, high)
    assert row["p"] == row["p_holm"] == mcnemar(len(right - left), len(left - right))
    assert (row["outcome"], row["verdict"], row["note"]) == ("for", HOLDS, "")


@pytest.mark.parametrize(("study", "strongest", "verdict"), [
    (([], MANY), ([], []), HOLDS),
    (([], MANY), (MANY, []), WEAKER),  # then nothing tells them apart
    (([], MANY), (ALL, ALL), WEAKER),
    (([], MANY), (range(150), []), WEAKER),  # then the other one is ahead
    ((MANY, []), ([], []), FAILS),
    (([], []), (MANY, []), FAILS),
    (([], [1, 2]), ([], []), UNDECIDED),
    (([], []), ([], MANY), UNDECIDED),  # only the strongest attack speaks for it
    ((ALL, ALL), ([], []), UNDECIDED),
])  # fmt: skip
def test_each_verdict_of_a_direction(study, strongest, verdict):
    cells = [
        *(cell(model, "pgd", "0.1", hit) for model, hit in zip("ab", study, strict=True)),
        *(cell(model, "bim", "0.1", hit) for model, hit in zip("ab", strongest, strict=True)),
    ]
    assert only(build.results(cells, claim()))["verdict"] == verdict


@pytest.mark.parametrize(("study", "strongest", "verdict"), [
    (([1], [2]), ([], []), HOLDS),
    (([1], [2]), ([], MANY), WEAKER),
    (([1], [2]), (ALL, ALL), HOLDS),  # nothing is left to differ
    ((MANY, []), ([], []), FAILS),
    (([], range(8)), ([], []), UNDECIDED),  # the interval crosses the margin
    (([], range(8)), ([], MANY), FAILS),
    ((ALL, ALL), ([], []), UNDECIDED),  # two zeros show no equality
])  # fmt: skip
def test_each_verdict_of_equality(study, strongest, verdict):
    cells = [
        *(cell(model, "pgd", "0.1", hit) for model, hit in zip("ab", study, strict=True)),
        *(cell(model, "bim", "0.1", hit) for model, hit in zip("ab", strongest, strict=True)),
    ]
    row = only(build.results(cells, claim(expect="left = right", within=5.0)))
    assert row["verdict"] == verdict
    assert pd.isna(row["p_holm"])  # judged by its interval
    inside = row["low"] >= -0.05 and row["high"] <= 0.05
    assert inside == (row["outcome"] in ("for", "nothing left"))


BROKEN = st.sets(st.integers(0, 39), max_size=40)
MIRROR = {"for": "against", "against": "for"}


@pytest.mark.slow
@settings(max_examples=25)
@given(BROKEN, BROKEN, BROKEN, BROKEN)
def test_to_swap_the_sides_is_to_swap_the_outcomes(left, right, more_left, more_right):
    cells = [
        cell("a", "pgd", "0.1", left), cell("b", "pgd", "0.1", right),
        cell("a", "bim", "0.1", more_left), cell("b", "bim", "0.1", more_right),
    ]  # fmt: skip
    asked = [claim(), claim(left="b", right="a"), claim(expect="left < right")]
    table = comparisons(Outcomes(build.results(cells, *asked, images=40)))
    there, back, turned = (table.iloc[turn] for turn in range(3))
    for name in ("outcome", "strongest_outcome"):
        assert back[name] == turned[name] == MIRROR.get(there[name], there[name])
    for name in ("p", "p_holm", "strongest_p"):
        assert back[name] == there[name]
    assert (back["difference"], back["low"]) == pytest.approx(
        (-there["difference"], -there["high"])
    )
    assert back["verdict"] == turned["verdict"]
    if there["verdict"] in (HOLDS, WEAKER):
        assert back["verdict"] == FAILS


def test_holm_takes_all_that_is_tested_and_the_strongest_by_themselves():
    cells = [
        *(cell("a", "pgd", eps, []) for eps in ("0.1", "0.2")),
        *(cell("b", "pgd", eps, range(hit)) for eps, hit in (("0.1", 6), ("0.2", 7))),
        cell("a", "bim", "0.1", []), cell("b", "bim", "0.1", range(5)),
    ]  # fmt: skip
    asked = [
        claim(eps=("0.1", "0.2")),
        claim(attacks=("bim",)),
        claim(attacks=(), eps=("0",)),
        claim(left="*", right=None, attacks=("bim",), right_attacks=("pgd",)),
        claim(expect="left = right", within=5.0),
        claim(attacks=("fgsm",)),  # not judged: there is none
    ]
    table = comparisons(Outcomes(build.results(cells, *asked)))
    study = [mcnemar(6, 0), mcnemar(7, 0), mcnemar(5, 0), 1.0, 1.0, mcnemar(1, 0)]
    assert list(table["p_holm"][:6]) == holm(study)
    # b at 0.2 falls to what broke it at 0.1 too; clean images and attacks have no strongest.
    assert list(table["strongest_p_holm"].dropna()) == holm(
        [mcnemar(6, 0), mcnemar(7, 0), mcnemar(6, 0)]
    )
    assert table["p_holm"][6:].isna().all()
    # Alone, six images of difference would decide; among six comparisons they do not.
    assert mcnemar(6, 0) < 0.05 < table["p_holm"][0]
    assert table["verdict"][0] == UNDECIDED


def test_the_strongest_is_the_headline():
    rng = np.random.default_rng(0)
    cells = [
        cell(model, attack, eps, np.flatnonzero(rng.random(IMAGES) < 0.2).tolist(), toolkit=toolkit,
             distance=dict(enumerate(rng.uniform(0, 0.25, IMAGES))) if eps is None else {})
        for model in "ab" for toolkit in ("art", "foolbox")
        for attack, eps in (("pgd", "0.1"), ("pgd", "0.2"), ("bim", "0.2"), ("deepfool", None))
    ]  # fmt: skip
    results = build.results(cells, claim(eps=("0.1", "0.2")), wrong={"a": [1], "b": [2, 3]})
    expected = headline(Outcomes(results)).set_index(["model", "eps_text"])["robust_accuracy"]
    table = comparisons(Outcomes(results))
    assert table["eps_text"].tolist() == ["0.1", "0.2"]
    for row in table.itertuples():
        assert row.strongest_left_accuracy == expected["a", row.eps_text] < row.left_accuracy
        assert row.strongest_right_accuracy == expected["b", row.eps_text] < row.right_accuracy


def test_the_study_s_attack_is_of_its_radius_surfaces_and_goal_and_any_toolkit():
    cells = [
        cell("a", "pgd", "0.1", [1], surface="metric-loss"),
        cell("a", "pgd", "0.1", [2], surface="metric-loss", toolkit="art"),
        cell("a", "pgd", "0.1", [3], surface="soft-knn"),
        cell("a", "pgd", "0.05", [4], surface="metric-loss"),
        cell("a", "bim", "0.1", [5], surface="metric-loss"),
        cell("a", "pgd", "0.1", [6], surface="metric-loss", goal="confidence-reduction"),
        cell("a", "pgd", "0.1", [7], surface="metric-loss", norm="l2"),
        cell("b", "pgd", "0.1", []),
    ]
    row = only(build.results(cells, claim(surfaces=("network", "metric-loss"))))
    assert row["only_right"] == 1  # the right side was not attacked by art
    assert row["harder"] == ""
    assert row["strongest_only_right"] == 3  # through soft-knn too, and by bim
    assert row["strongest_harder"] == "left"
    assert row["note"] == (
        "left out, since one side alone faced it: pgd by art; "
        "strongest, unequal attacks, left attacked harder: bim by torchattacks"
    )


def test_minimal_norm_attacks_break_what_they_reach_and_spoilt_rows_break_nothing():
    cells = [
        cell("a", "deepfool", None, [1, 2, 3], distance={1: 0.1, 2: 0.100001, 3: 0.2}),
        cell("b", "deepfool", None, [4, 5], invalid=[5], abstained=[6]),
    ]
    row = only(build.results(cells, claim(attacks=("deepfool",))))
    assert row["only_right"] == 2  # 1 and, within the slack of the judge, 2
    assert row["only_left"] == 2  # 4 and the abstention; 5 is not valid


def test_clean_images_need_no_attack_and_have_one_side():
    cells = [cell("a", "pgd", "0.1", ALL), cell("b", "pgd", "0.1", [])]
    row = only(build.results(cells, claim(attacks=(), eps=("0",)), wrong={"b": MANY}))
    assert (row["left_accuracy"], row["right_accuracy"]) == (1.0, 0.75)
    assert row["verdict"] == HOLDS
    assert row.filter(like="strongest_").isna().all()


def test_attacks_are_compared_on_each_model_by_itself():
    cells = [cell(model, "fgsm", "0.1", []) for model in ("d/a", "d/b")]
    cells += [cell("d/a", "pgd", "0.1", MANY), cell("d/b", "pgd", "0.1", [1])]
    asked = claim(left="d/*", right=None, attacks=("fgsm",), right_attacks=("pgd",))
    table = comparisons(Outcomes(build.results(cells, asked)))
    assert list(table["left"]) == list(table["right"]) == ["d/a", "d/b"]
    assert list(table["case"]) == ["a", "b"]
    assert list(table["verdict"]) == [HOLDS, UNDECIDED]
    assert table.filter(like="strongest_").isna().all(axis=None)


@pytest.mark.parametrize(("spoil", "why"), [
    ({"status": "failed", "error": "boom"}, "right: 1 of 2 attacks did not run"),
    ({"status": "missing"}, "right: 1 of 2 attacks did not run"),
    ({"invalid": ALL}, "right: 1 of 2 attacks gave no valid image"),
    ({"surface": "soft-knn"}, ""),
])  # fmt: skip
def test_an_attack_that_does_not_count_leaves_nothing_judged(spoil, why):
    cells = [
        cell("a", "pgd", "0.1", []), cell("b", "pgd", "0.1", MANY),
        cell("b", "pgd", "0.1", [1], toolkit="art", **spoil),
        cell("a", "pgd", "0.1", [], toolkit="art"),
    ]  # fmt: skip
    row = only(build.results(cells, claim(surfaces=("network", "soft-knn"))))
    assert (row["verdict"], row["note"]) == (UNJUDGED if why else HOLDS, why)
    assert pd.isna(row["p"]) == bool(why)


def test_the_strongest_takes_what_there_is_and_says_what_is_missing():
    cells = [
        cell("a", "pgd", "0.1", []), cell("b", "pgd", "0.1", MANY),
        cell("a", "bim", "0.1", [], status="failed", error="boom"),
        cell("b", "bim", "0.1", []),
    ]  # fmt: skip
    row = only(build.results(cells, claim()))
    assert row["verdict"] == UNEQUAL
    assert row["note"] == (
        "strongest, left: 1 of 2 attacks did not run; "
        "strongest, unequal attacks, right attacked harder: bim by torchattacks"
    )


def test_what_is_not_in_the_run_is_not_judged_and_said():
    cells = [cell("d/a", "pgd", "0.1", []), cell("d/b", "bim", "0.1", [])]
    asked = [
        claim(left="d/a", right="d/b"),
        claim(left="d/b", right="d/c", attacks=("bim",)),
        claim(left="x", right="y"),
        claim(left="x", right=None, attacks=("bim",), right_attacks=("pgd",)),
        claim(left="d/a", right="d/b", surfaces=("soft-knn",)),
        claim(left="d/a", right="d/c", attacks=(), eps=("0",)),
    ]
    table = comparisons(Outcomes(build.results(cells, *asked, models={"d/c": {}})))
    assert set(table["verdict"]) == {UNJUDGED}
    assert list(table["note"]) == [
        "right: no pgd in this run",
        "right: no bim in this run",
        "no model of this run for the left and the right",
        "no model of this run for the left",
        "both: no pgd through soft-knn in this run",
        "right: no cell of this model is done",
    ]


@pytest.mark.parametrize(("hit", "note"), [
    (([1], [1]), "no image differs"),
    ((ALL, ALL), "both at 0 % under the study's attack, which tells nothing of either"),
])  # fmt: skip
def test_sides_that_nothing_tells_apart_are_undecided_and_it_is_said(hit, note):
    cells = [cell(model, "pgd", "0.1", one) for model, one in zip("ab", hit, strict=True)]
    row = only(build.results(cells, claim()))
    assert (row["verdict"], row["note"], row["p"]) == (UNDECIDED, note, 1.0)


def test_a_suite_without_claims_has_no_comparisons():
    table = comparisons(Outcomes(build.results([cell("a", "pgd", "0.1", [])])))
    assert table.empty
    assert "strongest_p_holm" in table


def test_only_images_that_every_attack_tried_are_compared_under_the_strongest():
    cells = [
        cell("a", "pgd", "0.1", [1]), cell("b", "pgd", "0.1", MANY),
        cell("a", "bim", "0.1", [2], images=60), cell("b", "bim", "0.1", range(10), images=40),
        cell("a", "bim", "0.05", [3], images=5),
    ]  # fmt: skip
    row = only(build.results(cells, claim()))
    assert (row["n"], row["strongest_n"]) == (IMAGES, 40)
    assert row["left_accuracy"] == 1 - 1 / IMAGES
    assert (row["strongest_left_accuracy"], row["strongest_right_accuracy"]) == (38 / 40, 30 / 40)


TWINS = {"left": range(40), "right": range(140)}  # broken in one step, and in forty


@pytest.mark.parametrize(("left", "right", "expect", "verdict"), [
    (1, 40, "left > right", UNEQUAL),  # the left side is ahead after the weaker attack
    (1, 40, "left < right", UNEQUAL),
    (40, 40, "left > right", HOLDS),
])  # fmt: skip
def test_a_side_attacked_in_fewer_steps_is_not_found_ahead(left, right, expect, verdict):
    cells = [
        cell("a", "pgd", "0.1", TWINS["left"], parameters={"steps": left}),
        cell("b", "pgd", "0.1", TWINS["right"], parameters={"steps": right}),
    ]
    row = only(build.results(cells, claim(expect=expect)))
    assert row["verdict"] == verdict
    assert row["harder"] == ("" if left == right else "right")
    if left != right:
        assert row["note"].startswith("unequal attacks, right attacked harder: pgd steps 40, not 1")


@pytest.mark.parametrize(("expect", "verdict"), [("left > right", FAILS), ("left < right", HOLDS)])
def test_a_side_that_is_behind_after_the_weaker_attack_is_behind(expect, verdict):
    cells = [
        cell("a", "pgd", "0.1", TWINS["right"], parameters={"steps": 1}),
        cell("b", "pgd", "0.1", TWINS["left"], parameters={"steps": 40}),
    ]
    assert only(build.results(cells, claim(expect=expect)))["verdict"] == verdict


def test_equality_needs_equal_attacks():
    cells = [
        cell("a", "pgd", "0.1", range(100), parameters={"steps": 1}),
        cell("b", "pgd", "0.1", range(100), parameters={"steps": 40}),
    ]
    equal = {"expect": "left = right", "within": 5.0}
    assert only(build.results(cells, claim(**equal)))["verdict"] == UNEQUAL
    cells[0] = cell("a", "pgd", "0.1", range(140), parameters={"steps": 1})
    assert only(build.results(cells, claim(**equal)))["verdict"] == FAILS


def test_what_both_sides_faced_is_compared_and_the_rest_named():
    """The right side is attacked in more steps beside; that is no evidence for the left."""
    cells = [
        *(cell(model, "pgd", "0.1", hit) for model, hit in (("a", []), ("b", MANY))),
        cell("a", "autoattack", "0.1", range(4), parameters={"steps": 10, "queries": 100}),
        cell("b", "autoattack", "0.1", range(9), parameters={"steps": 10, "queries": 100}),
        cell("b", "autoattack", "0.1", ALL, parameters={"steps": 50, "queries": 500}),
    ]
    row = only(build.results(cells, claim()))
    assert (row["strongest_left_accuracy"], row["strongest_right_accuracy"]) == (
        196 / 200,
        141 / 200,
    )
    assert row["verdict"] == HOLDS
    assert row["note"] == (
        "strongest, left out, since one side alone faced it: autoattack queries 500, not 100, steps "
        "50, not 10"
    )


def test_no_side_is_ahead_that_is_behind_after_what_it_alone_faced():
    cells = [
        *(cell(model, "pgd", "0.1", hit, parameters={"steps": 10}) for model, hit in (("a", []), ("b", MANY))),
        cell("a", "pgd", "0.1", ALL, parameters={"steps": 50}),
    ]  # fmt: skip
    row = only(build.results(cells, claim()))
    assert (row["verdict"], row["harder"]) == (UNEQUAL, "neither")
    assert "turn the sides round: pgd steps 50, not 10" in row["note"]


def test_attacks_that_are_compared_may_differ():
    cells = [
        cell("a", "pgd", "0.1", [], parameters={"steps": 1}),
        cell("a", "bim", "0.1", MANY, parameters={"steps": 40}),
    ]
    asked = claim(left="a", right=None, right_attacks=("bim",))
    assert only(build.results(cells, asked))["verdict"] == HOLDS


@pytest.mark.parametrize(("few", "strong", "verdict"), [
    (12, ([], range(5)), UNDECIDED),  # +41.7 points of 12 images, p = 0.06
    (12, (range(6), range(7)), UNDECIDED),
    (200, (range(35), []), UNDECIDED),  # +7.5 [-1.6, 16.4] may still be more than half of +25
    (200, (range(70), range(25, 95)), WEAKER),  # +2.5 [-4.8, 9.8] is not
    (200, (range(35), ALL), HOLDS),
])  # fmt: skip
def test_few_images_under_the_strong_attack_decide_nothing(few, strong, verdict):
    """The study's attack breaks 50 of the right side alone, none of them among the first twelve."""
    cells = [
        *(cell(model, "pgd", "0.1", hit) for model, hit in (("a", []), ("b", MANY))),
        *(cell(model, "bim", "0.1", hit, images=few) for model, hit in zip("ab", strong, strict=True)),
    ]  # fmt: skip
    row = only(build.results(cells, claim()))
    assert (row["verdict"], row["strongest_n"]) == (verdict, few)
    assert row["strongest_study"] == (0.0 if few == 12 else 0.25)


def test_images_that_no_attack_was_valid_on_are_no_evidence():
    cells = [
        cell("a", "pgd", "0.1", [], invalid=range(30)),
        cell("b", "pgd", "0.1", MANY),
    ]
    row = only(build.results(cells, claim()))
    assert (row["verdict"], row["note"]) == (UNJUDGED, "left: no valid attack on 30 of 200 images")
    cells[0] = cell("a", "pgd", "0.1", [], invalid=range(5))
    row = only(build.results(cells, claim()))
    assert row["verdict"] == HOLDS
    assert row["note"].startswith("left: no valid attack on 5 of 200 images")


def test_a_targeted_attack_breaks_images_under_the_strongest():
    """Any wrong label counts, whatever the attack was after; the study's own attack had no target."""
    cells = [
        cell(model, "pgd", "0.1", hit, goal=goal, parameters={"targeted": target})
        for model, hit in (("a", []), ("b", MANY))
        for goal, target in (("misclassification", "none"), ("targeted", "next"))
    ]
    cells[1] = dataclasses.replace(cells[1], broken=frozenset(range(7)))
    row = only(build.results(cells, claim()))
    assert (row["left_accuracy"], row["strongest_left_accuracy"]) == (1.0, 193 / 200)
    assert row["strongest_harder"] == ""

"""Claims about planted trainings and importances."""

from __future__ import annotations

import build
import pandas as pd
import pytest
from build import cell, claim, training

from bench.measure.outcomes import Outcomes
from bench.report.sections.claims import claim_table
from bench.report.sections.comparisons import compact, comparison_table
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.in_print import NOT_PRINTED, Printed, printed_comparisons
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNJUDGED

#: Test accuracies of the trainings of each configuration; the last has one.
TRAINED = {
    "digits/a": (0.60, 0.61, 0.62, 0.63, 0.64), "digits/a-wide": (0.50, 0.51, 0.52, 0.53, 0.54),
    "digits/b": (0.59, 0.63, 0.61, 0.62, 0.60), "digits/one": (0.9,),
}  # fmt: skip
WEIGHTS = {"digits/a": [0.1, 0.2], "digits/b": [0.4, 0.3]}


def one(name, seed, accuracy):
    """Return a training in two phases, the second of which has this accuracy on test images, 0.1 above the first."""
    curves = (2, 1), (0.5, 1), (1, 0.5), (0.4, 0.4), (2, 1), (accuracy - 0.1, accuracy)
    return training(name, *curves, seed=seed, phases=(1, 1))


def said(left="digits/a", right: str | None = "digits/a-wide", expect="left > right", **fields):
    plain = {"measure": "training", "column": "test_accuracy", "attacks": (), "norm": "", "eps": ()}
    return claim(**{**plain, "left": left, "right": right, "expect": expect, **fields})


def weighed(left="digits/b", right="digits/a", expect="left > right"):
    return said(left, right, expect, measure="importance", column="")


def run(*asked, weights=WEIGHTS):
    trainings = [
        one(name, seed, share) for name, shares in TRAINED.items() for seed, share in enumerate(shares)
    ]  # fmt: skip
    models = {"whole": {"importances": weights}} if weights else {}
    return build.results([cell("m", "pgd", "0.1", ())], *asked, trainings=trainings, models=models)


def compared(*asked, **more) -> pd.DataFrame:
    return comparisons(Outcomes(run(*asked, **more)))


@pytest.mark.parametrize(("asked", "verdict"), [
    (said(), HOLDS), (said(expect="left < right"), FAILS), (said(right="digits/b"), UNDECIDED),
    (said(right=None, expect="left > bound", bound=0.5), HOLDS), (said(right=None, expect="left < bound", bound=0.5), FAILS),
    (said(right=None, expect="left > bound", bound=0.62), UNDECIDED), (weighed(), HOLDS), (weighed(expect="left < right"), FAILS),
])  # fmt: skip
def test_a_verdict_is_by_the_means_of_trainings_or_by_importances_as_they_are(asked, verdict):
    assert compared(asked)["verdict"].tolist() == [verdict]


def test_the_figures_of_two_sides():
    row = compared(said()).iloc[0]
    assert (row["left_value"], row["right_value"], row["n"]) == (
        pytest.approx(0.62),
        pytest.approx(0.52),
        5,
    )
    assert row["p"] == row["p_holm"] == pytest.approx(2 / 252)
    # Both have the variance 0.00025; t with 8 degrees of freedom is 2.306 and the error 0.01.
    assert (row["low"], row["high"]) == (pytest.approx(0.1 - 0.02306), pytest.approx(0.1 + 0.02306))
    gain = compared(said(right=None, expect="left > bound", bound=0.0, column="phase_gain")).iloc[0]
    assert gain["left_value"] == pytest.approx(0.1)


def test_a_single_training_decides_nothing_and_it_is_said():
    row = compared(said("digits/one", "digits/a")).iloc[0]
    assert (row["verdict"], row["n"]) == (UNDECIDED, 1)
    assert row["note"] == "left: one training: how much trainings differ is not known"
    assert row["difference"] == pytest.approx(0.28)
    assert row[["p", "low", "high"]].isna().all()


def test_the_verdict_counts_trainings_not_images():
    asked = said("digits/one", "digits/a"), said(right="digits/b")
    results = run(*asked)
    found = claims(results, comparisons(Outcomes(results)))
    assert found["verdict"].tolist() == [
        f"{UNDECIDED} from 1 training",
        f"{UNDECIDED} from 5 trainings",
    ]


def test_a_training_in_one_phase_has_no_gain():
    plain = [training("digits/c", (2, 1), (0.5, 1), (1, 0.5), (0.4, 0.4), (2, 1), (0.3, 0.4))]
    asked = said("digits/c", None, "left > bound", bound=0.1, column="phase_gain")
    results = build.results([cell("m", "pgd", "0.1", ())], asked, trainings=plain)
    (row,) = comparisons(Outcomes(results)).to_dict("records")
    assert (row["verdict"], row["note"]) == (UNJUDGED, "trained in one phase alone")


def test_p_is_adjusted_within_the_claim():
    found = compared(
        said("digits/{net}", "digits/{net}-wide"),
        said("digits/a", "digits/*"),
        said("digits/a", "digits/a-wide"),
    )
    assert found["claim"].tolist() == [1, 2, 2, 2, 3]  # what has no partner is left out
    assert found["case"].tolist()[0] == "a"
    adjusted = dict(
        zip(zip(found["claim"], found["right"], strict=True), found["p_holm"], strict=True)
    )
    assert adjusted[1, "digits/a-wide"] == adjusted[3, "digits/a-wide"] == pytest.approx(2 / 252)
    assert adjusted[2, "digits/a-wide"] == pytest.approx(2 * 2 / 252)  # one training is not tested


@pytest.mark.parametrize(("asked", "weights", "note"), [
    (said("digits/z"), WEIGHTS, "no training of this run for the left"),
    (weighed("digits/z"), WEIGHTS, "no member of this run for the left"),
    (weighed(), None, "no model of this run weighs its members"),
])  # fmt: skip
def test_what_is_not_there_is_not_judged(asked, weights, note):
    (row,) = compared(asked, weights=weights).to_dict("records")
    assert (row["verdict"], row["note"]) == (UNJUDGED, note)


def test_tables_print_shares_in_percent_and_losses_as_they_are():
    asked = (said(), said(column="validation_loss"), weighed())
    results = run(*asked)
    found = comparisons(Outcomes(results))
    table = comparison_table(found, asked).frame
    assert table["left figure"].tolist() == ["62.0 %", "0.500", "70.0 %"]
    assert table["difference"].tolist()[2] == "+40.0"
    assert table["threat"].tolist() == ["", "", ""]
    shown = compact(found, asked)
    assert shown.groups[0].tests == "test accuracy, digits/a > digits/a-wide"
    assert "Each on" not in shown.caption
    judged = claim_table(claims(results, found))
    assert judged.frame["study's attack"].tolist() == ["no attack"] * 3


def test_printed_figures_of_trainings_and_members_are_compared_as_they_stand():
    rows = [
        {"data": "digits", "model": model, "attack": "none", "norm": "", "eps": "", "metric": metric, "published": value}
        for model, metric, value in (
            ("A", "accuracy", 50.0), ("A-WIDE", "accuracy", 40.0), ("A", "validation_loss", 1.4),
            ("A-WIDE", "validation_loss", 1.5), ("A", "importance", 30.0), ("B", "importance", 29.0),
        )
    ]  # fmt: skip
    asked = (
        said(column="leaky_accuracy"), said(column="validation_loss"), said(column="rise"), weighed(),
        said(right=None, expect="left > bound", bound=0.45),
    )  # fmt: skip
    printed = Printed(pd.DataFrame(rows), lambda title: f"digits/{title[7:].upper()}", {})
    found = printed_comparisons(compared(*asked), asked, printed)
    assert found["in_print"].tolist() == [HOLDS, FAILS, NOT_PRINTED, FAILS, HOLDS]
    assert found["left_printed"].tolist()[:2] == [0.5, 1.4]
    assert found["right_printed"].tolist()[3:] == [0.3, 0.45]

"""Comparisons of critical eps on planted radii, spread about a middle that is known."""

from __future__ import annotations

import build
import numpy as np
import pandas as pd
import pytest
from build import cell, claim
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import expon, logistic

from bench.measure.outcomes import Outcomes
from bench.measure.radius import FEWEST, critical_eps
from bench.spec import Claim
from bench.trust.claim_measures.critical_eps import Least, compare_figures
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNEQUAL, UNJUDGED

IMAGES = 700


@pytest.fixture(autouse=True)
def _few_replicates(monkeypatch):
    monkeypatch.setattr("bench.measure.radius._REPLICATES", 20)


def radii(middle: float, n: int = IMAGES) -> np.ndarray:
    """Return radii of which the curve is an ordinary logistic about a middle."""
    return np.clip(middle + 0.1 * middle * logistic.ppf((np.arange(n) + 0.5) / n), 1e-6, None)


def measuring(model: str, middle: float, attack: str = "fgsm-radius", n: int = IMAGES, **more):
    return cell(model, attack, None, range(n), radii=radii(middle, n), images=n, **more)


def critical(**said) -> Claim:
    return claim(**{"attacks": ("fgsm-radius",), "eps": (), "measure": "critical_eps", **said})


def compared(cells, *asked) -> pd.DataFrame:
    return comparisons(Outcomes(build.results(cells, *asked, images=IMAGES)))


@pytest.mark.parametrize(("left", "right", "verdict"), [
    (0.03, 0.02, HOLDS), (0.02, 0.03, FAILS), (0.02, 0.02, UNDECIDED),
])  # fmt: skip
def test_each_verdict(left, right, verdict):
    row = compared([measuring("a", left), measuring("b", right)], critical()).iloc[0]
    assert row["verdict"] == verdict
    assert row["left_critical_eps"] == pytest.approx(left, rel=0.02)
    assert row["difference"] == row["left_critical_eps"] - row["right_critical_eps"]
    error = np.hypot(row["left_error"], row["right_error"])
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * error, rel=1e-3)
    assert (row["n"], row["measure"]) == (IMAGES, "critical_eps")
    assert pd.isna(row["left_accuracy"])
    assert pd.isna(row["strongest_p"])


def test_critical_eps_and_accuracies_are_adjusted_together_and_keep_their_order():
    cells = [
        measuring("a", 0.03), measuring("b", 0.02),
        cell("a", "pgd", "0.1", [], images=IMAGES), cell("b", "pgd", "0.1", range(9), images=IMAGES),
    ]  # fmt: skip
    found = compared(cells, critical(), claim(), critical(expect="left < right"))
    assert found["claim"].tolist() == [1, 2, 3]
    assert found["measure"].tolist() == ["critical_eps", "accuracy", "critical_eps"]
    assert found["verdict"].tolist()[::2] == [HOLDS, FAILS]
    assert found.loc[1, "p_holm"] == found.loc[1, "p"]  # the largest of three
    results = build.results(cells, critical(), images=IMAGES)
    judged = claims(results, comparisons(Outcomes(results)))
    assert judged.loc[0, "expect"] == "left > right in critical eps"


def test_the_worst_of_several_surfaces_counts():
    cells = [
        measuring("a", 0.03), measuring("a", 0.02, surface="other"), measuring("b", 0.025),
    ]  # fmt: skip
    row = compared(cells, critical()).iloc[0]
    assert row["left_critical_eps"] == pytest.approx(0.02, rel=0.02)
    named = compared(cells, critical(surfaces=("network",))).iloc[0]
    assert named["left_critical_eps"] == pytest.approx(0.03, rel=0.02)


def test_two_attacks_on_one_model():
    cells = [measuring("a", 0.03), measuring("a", 0.02, "ifgsm-radius")]
    asked = critical(right=None, right_attacks=("ifgsm-radius",))
    assert compared(cells, asked).iloc[0]["verdict"] == HOLDS


@pytest.mark.parametrize(("cells", "words"), [
    ([measuring("a", 0.03)], "no model of this run for the right"),
    ([measuring("a", 0.03), measuring("b", 0.03, "ifgsm-radius")], "right: no fgsm-radius in this"),
    ([measuring("a", 0.03), measuring("b", 0.03, n=FEWEST - 1)], "right: no R of the .*needed"),
])  # fmt: skip
def test_why_it_is_not_judged(cells, words):
    row = compared(cells, critical(figure="logistic")).iloc[0]
    assert row["verdict"] == UNJUDGED
    assert pd.Series(row["note"]).str.contains(words).all()


@given(st.floats(1e-3, 1), st.floats(1e-3, 1), st.floats(1e-5, 0.1), st.floats(1e-5, 0.1))
def test_the_interval_leaves_zero_out_where_p_is_below_five_percent(
    left, right, left_error, right_error
):
    found = compare_figures(Least(left, left_error, 600), Least(right, right_error, 500)).figures
    assert (found["p"] < 0.05) == (found["low"] > 0 or found["high"] < 0)
    assert found["n"] == 500


def test_measured_once_is_enough():
    results = build.results([measuring("a", 0.03), measuring("b", 0.02)], critical(), images=IMAGES)
    known = critical_eps(results)
    pd.testing.assert_frame_equal(
        comparisons(Outcomes(results)), comparisons(Outcomes(results), known)
    )


def skew(n: int = IMAGES, scale: float = 0.01) -> np.ndarray:
    """Return radii that no generalised logistic fits: exponential ones."""
    return expon.ppf((np.arange(n) + 0.5) / n, scale=scale)


def test_where_r_is_refused_the_median_is_compared_and_it_is_said():
    cells = [
        measuring("a", 0.03),
        cell("b", "fgsm-radius", None, range(IMAGES), radii=skew(), images=IMAGES),
    ]
    row = compared(cells, critical()).iloc[0]
    assert (row["figure"], row["verdict"]) == ("median", HOLDS)
    assert row["note"].startswith(
        "by the median radius, since R is not there (b under fgsm-radius: "
    )
    assert row["left_critical_eps"] == pytest.approx(0.03, rel=0.01)
    assert row["right_critical_eps"] == pytest.approx(0.01 * np.log(2), rel=0.01)
    named = compared(cells, critical(figure="logistic")).iloc[0]
    assert (named["figure"], named["verdict"]) == ("logistic", UNJUDGED)
    assert "shape rejected" in named["note"]


@pytest.mark.parametrize(("figure", "right"), [("median", 0.01 * np.log(2)), ("mode", 0.0)])
def test_a_claim_may_say_by_which_figure(figure, right):
    cells = [
        measuring("a", 0.03),
        cell("b", "fgsm-radius", None, range(IMAGES), radii=skew(), images=IMAGES),
    ]
    row = compared(cells, critical(figure=figure)).iloc[0]
    assert (row["figure"], row["verdict"]) == (figure, HOLDS)
    assert row["left_critical_eps"] == pytest.approx(0.03, rel=0.03)
    assert row["right_critical_eps"] == pytest.approx(right, rel=0.01, abs=1e-6)
    results = build.results(cells, critical(figure=figure), images=IMAGES)
    judged = claims(results, comparisons(Outcomes(results)))
    assert figure in judged.loc[0, "expect"]


def test_radii_of_unequal_searches_are_not_compared():
    cells = [
        measuring("a", 0.03, parameters={"scan": 50}), measuring("b", 0.02, parameters={"scan": 10}),
    ]  # fmt: skip
    row = compared(cells, critical()).iloc[0]
    assert row["verdict"] == UNEQUAL
    assert row["note"] == "unequal attacks, left attacked harder: fgsm-radius scan 50, not 10"
    assert pd.isna(row["p"])

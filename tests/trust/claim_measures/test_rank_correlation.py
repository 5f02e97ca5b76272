"""Comparisons of orders on planted accuracies and radii."""

from __future__ import annotations

import build
import numpy as np
import pytest
from build import cell, claim
from scipy.stats import logistic

from bench.measure.outcomes import Outcomes
from bench.spec import Setting
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNJUDGED

IMAGES = 700
SPREAD = logistic.ppf((np.random.default_rng(0).permutation(IMAGES) + 0.5) / IMAGES)


@pytest.fixture(autouse=True)
def _few_replicates(monkeypatch):
    monkeypatch.setattr("bench.measure.radius._REPLICATES", 5)


def run(middles, wrong, asked, second=None):
    """Return the comparisons of models with these critical eps, so many images of which they get wrong."""
    cells = []
    for attack, those in (("fgsm-radius", middles), ("ifgsm-radius", second or [])):
        for turn, middle in enumerate(those):
            radii = (middle * (1 + 0.1 * SPREAD)).clip(1e-6)
            cells.append(cell(f"m{turn}", attack, None, range(IMAGES), radii=radii, images=IMAGES))
    beaten = {f"m{turn}": range(IMAGES - count, IMAGES) for turn, count in enumerate(wrong)}
    return build.results(cells, asked, wrong=beaten, images=IMAGES)


def order(expect, **said):
    attacks = {"attacks": ("fgsm-radius",), "eps": (), "measure": "order", "right": None}
    return claim(**{**attacks, "left": "m*", "expect": expect, **said})


FIVE = [0.01, 0.02, 0.03, 0.04, 0.05]


@pytest.mark.parametrize(("wrong", "expect", "tau", "verdict"), [
    ([10, 20, 30, 40, 50], "opposite order", -1, HOLDS),
    ([10, 20, 30, 40, 50], "same order", -1, FAILS),
    ([50, 40, 30, 20, 10], "same order", 1, HOLDS),
    ([50, 40, 10, 20, 30], "same order", 0.4, UNDECIDED),
])  # fmt: skip
def test_accuracy_and_critical_eps(wrong, expect, tau, verdict):
    row = comparisons(Outcomes(run(FIVE, wrong, order(expect)))).iloc[0]
    assert row["verdict"] == verdict
    assert row["difference"] == pytest.approx(tau)
    assert (row["n"], row["measure"]) == (5, "order")
    if abs(tau) == 1:
        assert row["p"] == pytest.approx(2 / 120)


def test_two_attacks_order_models():
    asked = order("same order", right_attacks=("ifgsm-radius",))
    results = run(FIVE, [0] * 5, asked, second=[0.011, 0.018, 0.028, 0.036, 0.044])
    assert claims(results, comparisons(Outcomes(results)))["verdict"].tolist() == [HOLDS]
    results = run(FIVE, [0] * 5, asked, second=[0.05, 0.04, 0.03, 0.02, 0.01])
    assert claims(results, comparisons(Outcomes(results)))["verdict"].tolist() == [FAILS]


def test_a_run_without_the_models_of_a_claim_says_so():
    row = comparisons(Outcomes(run(FIVE, [0] * 5, order("same order", left="n*")))).iloc[0]
    assert row["verdict"] == UNJUDGED
    assert row["note"].startswith("0 of 0 models have figures")


def test_four_models_have_no_order():
    row = comparisons(Outcomes(run(FIVE[:4], [1, 2, 3, 4], order("opposite order")))).iloc[0]
    assert row["verdict"] == UNJUDGED
    assert row["note"] == (
        "4 of 4 models have figures; with fewer than 5 no order differs from chance"
    )


def test_models_without_r_are_ordered_by_the_median_and_it_is_said():
    wide = [*FIVE[:4], 0.05]
    results = run(wide, [10, 20, 30, 40, 230], order("opposite order"))
    row = comparisons(Outcomes(results)).iloc[0]
    assert (row["figure"], row["n"], row["verdict"]) == ("median", 5, HOLDS)
    assert row["note"].startswith(
        "by the median radius, since R is not there (m4 under fgsm-radius: "
    )
    named = comparisons(
        Outcomes(run(wide, [10, 20, 30, 40, 230], order("opposite order", figure="logistic")))
    )
    assert named.iloc[0]["note"].startswith("4 of 5 models have figures")


def by_perturbations(sizes, expect, fooled=(10, 20, 30, 40, 50), **more):
    """Return the order of models by how many images a first attack fools, and by the sizes of a second."""
    known = {"clean_l2": 2.0}
    cells = [
        cell(f"m{turn}", "fgsm", "0.1", range(count), images=60, columns=known)
        for turn, count in enumerate(fooled)
    ]
    cells += [
        cell(f"m{turn}", "deepfool", None, [], norm="l2", images=60, columns={**known, "l2": size})
        for turn, size in enumerate(sizes)
    ]
    sides = (
        Setting(attack="fgsm", norm="linf", eps="0.1", figure="fooling"),
        Setting(attack="deepfool", norm="l2", figure="rho_l2"),
    )
    asked = order(expect, attacks=("fgsm",), right_attacks=("deepfool",), settings=(sides,), **more)
    return build.results(cells, asked, images=60)


@pytest.mark.parametrize(("sizes", "expect", "tau", "verdict"), [
    ([5, 4, 3, 2, 1], "opposite order", -1, HOLDS),
    ([1, 2, 3, 4, 5], "opposite order", 1, FAILS),
    ([5, 4, 1, 2, 3], "opposite order", -0.4, UNDECIDED),
])  # fmt: skip
def test_two_figures_of_perturbations_order_models(sizes, expect, tau, verdict):
    results = by_perturbations(sizes, expect)
    found = comparisons(Outcomes(results))
    row = found.iloc[0]
    assert (row["verdict"], row["n"]) == (verdict, 5)
    assert row["difference"] == pytest.approx(tau)
    assert (row["left_figure"], row["right_figure"]) == ("fooling", "rho_l2")
    assert row["left_cells"] == "cell-0 cell-1 cell-2 cell-3 cell-4"
    assert row["right_cells"] == "cell-5 cell-6 cell-7 cell-8 cell-9"
    said = claims(results, found).loc[0, "expect"]
    assert said == "opposite order of fooling rate and size relative to the image, in l2"


def test_models_without_one_of_the_figures_are_not_ordered():
    row = comparisons(Outcomes(by_perturbations([4, 3, 2, 1], "opposite order"))).iloc[0]
    assert row["verdict"] == UNJUDGED
    assert row["note"].startswith("4 of 5 models have figures")
    assert row["left_cells"] == "cell-0 cell-1 cell-2 cell-3"

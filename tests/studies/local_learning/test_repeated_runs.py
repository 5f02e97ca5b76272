"""Published figures of trainings beside ours, on planted outcomes."""

from __future__ import annotations

import math

import build
import pandas as pd
import pytest
from build import IMAGES, cell

from bench.measure.outcomes import Outcomes
from bench.measure.published import COLUMNS as PUBLISHED
from bench.studies.local_learning.repeated_runs import COLUMNS, beside_published

NAME = "ll-K10-w4-m3-p2-n4-pool5-gelu"
OWN = {"K": 10, "w": 4, "m": 3, "p": 2, "delta": 0.1, "n": 4, "pool": 5, "activation": "gelu"}
WRONG = {f"digits/{NAME}": range(20), f"digits/{NAME}-seed1": range(40)}


def figure(metric, model=NAME, value=0.5, unit="fraction", note="", attack="fgsm-radius"):
    return dict(zip(PUBLISHED, ("s", "B.1", "digits", model, attack, "linf", "", metric, value, unit,
                                note), strict=True))  # fmt: skip


def results():
    cells = [cell(model, "fgsm-radius", None, range(9)) for model in WRONG]
    models = {
        model: {"options": {**OWN, "seed": turn}, "f_score": 0.9 + turn / 20}
        for turn, model in enumerate(WRONG)
    }
    twin = "digits/bp-K10-w4-n4-pool5-gelu"
    return build.results(
        [*cells, cell(twin, "pgd", "0.1", [1])],
        wrong=WRONG,
        models={**models, twin: {"options": {"K": 10, "w": 4}}},
    )


RADII = pd.DataFrame(
    [
        {"model": model, "attack": "fgsm-radius", "critical_eps": eps, "error": 0.001, "n": n}
        for (model, eps, n) in zip(WRONG, (0.01, 0.03), (600, 500), strict=True)
    ]
)


def only(one):
    table = beside_published(Outcomes(results()), RADII, pd.DataFrame([one]))
    assert tuple(table.columns) == COLUMNS
    return table.iloc[0]


def test_accuracy_is_the_mean_of_the_trainings_with_their_spread():
    row = only(figure("accuracy", value=0.619, note="sd 0.002; 100 models"))
    assert row["ours"] == pytest.approx(100 * (1 - 30 / IMAGES))
    assert row["spread"] == pytest.approx(100 * (20 / IMAGES) / math.sqrt(2))
    assert (row["trainings"], row["n"], row["planned"]) == (2, IMAGES, 1)
    assert (row["published"], row["published_spread"]) == pytest.approx((61.9, 0.2))
    assert row["note"] == "100 models"


def test_critical_eps_of_the_named_attack():
    row = only(figure("critical_eps", value=0.0177, unit="linf"))
    assert (row["ours"], row["published"], row["n"]) == (pytest.approx(0.02), 0.0177, 500)
    assert row["error"] == pytest.approx(0.001)
    absent = only(figure("critical_eps", attack="ifgsm-radius", unit="linf"))
    assert math.isnan(absent["ours"])
    assert absent["planned"] == 1


def test_f_scores_are_of_filters_whatever_lies_above_them():
    row = only(figure("f_score", "ll-K10-w4-m3-p2-delta0.1", attack="none"))
    assert row["ours"] == pytest.approx(0.925)
    assert math.isnan(only(figure("f_score", "ll-K10-w8-m3-p2-delta0.1", attack="none"))["ours"])


def test_a_grid_counts_each_configuration_once():
    row = only(figure("mean_accuracy", "ll-grid w=4", 64.2, "%", attack="none"))
    assert (row["trainings"], row["published"]) == (1, 64.2)
    assert row["ours"] == pytest.approx(100 * (1 - 30 / IMAGES))
    assert only(figure("max_accuracy", "bp-grid K=10", 70, "%", attack="none"))["ours"] == 100
    nothing = only(figure("mean_accuracy", "ll-grid w=8", 60, "%", attack="none"))
    assert (nothing["planned"], nothing["trainings"]) == (0, 0)

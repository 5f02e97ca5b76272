"""What planted printed figures say of claims: compared as they stand."""

from __future__ import annotations

import build
import pandas as pd
import pytest
from build import cell, claim

from bench.measure.outcomes import Outcomes
from bench.report.findings import Findings
from bench.report.measured import measure
from bench.spec import Setting
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.in_print import NOT_PRINTED, Printed, printed_claims, printed_comparisons
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED

N = 40
KNOWN = {"clean_l2": 1.0}
FOOLING = Setting(attack="fgsm", norm="linf", eps="0.1", figure="fooling")
PRINTED = {"cell-0": 92.0, "cell-1": 41.5}


def beside(*rows, **columns) -> pd.DataFrame:
    """Return printed figures, a row each, with other columns as given."""
    plain = {"data": "digits", "model": "m", "attack": "fgsm", "norm": "linf", "eps": "0.1",
             "metric": "fooling_rate", "figure": "", "cell": "", "scale": 100.0}  # fmt: skip
    return pd.DataFrame([{**plain, **columns, **row} for row in rows])


def of_cells(figures=PRINTED, figure="fooling", **columns) -> pd.DataFrame:
    rows = [{"cell": key, "published": value} for key, value in figures.items()]
    return beside(*rows, figure=figure, **columns)


def asked(expect="left > right", **fields):
    pair = (FOOLING, None if "bound" in fields else FOOLING)
    return claim(**{
        "attacks": ("fgsm",), "measure": "perturbation", "expect": expect, "settings": (pair,),
        "right": None if "bound" in fields else "b", **fields,
    })  # fmt: skip


def judged(printed: pd.DataFrame, *said, cells=None, **names) -> pd.DataFrame:
    """Return the comparisons of a run in which neither model is fooled more often than the other."""
    cells = cells or [
        cell(model, "fgsm", "0.1", range(5), images=N, columns=KNOWN) for model in "ab"
    ]
    results = build.results(cells, *said, images=N)
    stands_for = names.get("stands_for", lambda title: f"digits/{title}")
    known = Printed(printed, stands_for, dict.fromkeys("abcdef", "digits"))
    return printed_comparisons(comparisons(Outcomes(results)), said, known)


@pytest.mark.parametrize(("expect", "fields", "verdict"), [
    ("left > right", {}, HOLDS), ("left < right", {}, FAILS),
    ("left = right", {"within": 50.0}, FAILS), ("left = right", {"within": 50.5}, HOLDS),
    ("left > bound", {"bound": 0.9}, HOLDS), ("left < bound", {"bound": 0.9}, FAILS),
])  # fmt: skip
def test_two_printed_figures_are_compared_as_they_stand(expect, fields, verdict):
    row = judged(of_cells(), asked(expect, **fields)).iloc[0]
    assert row["in_print"] == verdict
    assert row["left_printed"] == pytest.approx(0.92)
    assert row["right_printed"] == pytest.approx(fields.get("bound", 0.415))
    if not fields:
        assert row["verdict"] == UNDECIDED  # whatever is printed


def test_equal_printed_figures_have_no_order():
    same = of_cells({"cell-0": 41.5, "cell-1": 41.5})
    found = judged(same, asked(), asked("left < right"), asked("left = right", within=0.1))
    assert found["in_print"].tolist() == [FAILS, FAILS, HOLDS]


@pytest.mark.parametrize("printed", [
    of_cells({"cell-0": 92.0}), of_cells(figure="delta_l2"), of_cells({"cell-0": 92.0, "cell-1": float("nan")}),
])  # fmt: skip
def test_what_is_not_printed(printed):
    row = judged(printed, asked()).iloc[0]
    assert row["in_print"] == NOT_PRINTED


def test_of_two_rows_for_one_figure_the_first_counts():
    twice = pd.concat([of_cells(), of_cells({"cell-0": 10.0})], ignore_index=True)
    assert judged(twice, asked()).iloc[0]["left_printed"] == pytest.approx(0.92)


def test_a_cell_that_cannot_be_judged_may_be_printed():
    cells = [
        cell("a", "fgsm", "0.1", (), images=N, status="failed", error="why"),
        cell("b", "fgsm", "0.1", (), images=N, columns=KNOWN),
    ]
    row = judged(of_cells(), asked(), cells=cells).iloc[0]
    assert (row["verdict"], row["in_print"]) == ("not judged", HOLDS)


@pytest.mark.parametrize(("rho", "expect", "verdict"), [
    ((4, 3, 2, 1), "opposite order", HOLDS), ((4, 3, 2, 1), "same order", FAILS),
    ((1, 2, 4, 3), "same order", FAILS), ((1, 2, 3, 4), "same order", HOLDS),
])  # fmt: skip
def test_an_order_in_print_is_that_of_every_pair(rho, expect, verdict):
    """Six models, of which four are printed, one of them beside two of ours."""
    other = Setting(attack="deepfool", norm="l2", figure="rho_l2")
    cells = [cell(model, "fgsm", "0.1", range(5 + turn), images=N, columns=KNOWN)
             for turn, model in enumerate("abcdef")]  # fmt: skip
    cells += [
        cell(model, "deepfool", None, (), norm="l2", images=N, columns={**KNOWN, "l2": 1.0 + turn})
        for turn, model in enumerate("abcdef")
    ]
    rates = {f"cell-{turn}": 10.0 * turn for turn in range(1, 5)}
    sizes = {f"cell-{6 + turn}": float(value) for turn, value in enumerate(rho, 1)}
    rates["cell-5"], sizes["cell-11"] = rates["cell-4"], sizes["cell-10"]
    printed = pd.concat([of_cells(rates), of_cells(sizes, "rho_l2", scale=1.0)], ignore_index=True)
    said = claim(left="*", right=None, measure="order", expect=expect, settings=((FOOLING, other),),
                 attacks=("fgsm",), right_attacks=("deepfool",))  # fmt: skip
    row = judged(printed, said, cells=cells).iloc[0]
    assert row["in_print"] == verdict
    assert row["difference"] == pytest.approx(1)
    one = judged(of_cells({"cell-1": 10.0}), said, cells=cells).iloc[0]
    assert one["in_print"] == NOT_PRINTED


def accuracies(*rows):
    return beside(
        *(
            {"model": model, "attack": attack, "eps": eps, "published": value}
            for model, attack, eps, value in rows
        ),
        metric="accuracy",
    )


def test_printed_accuracies_of_models_that_stand_for_them():
    printed = accuracies(
        ("A", "none", "0", 90.0), ("B", "none", "0", 95.0), ("A", "pgd", "0.10", 50.0), ("B", "pgd", "0.1", 47.0),
        ("A", "fgsm", "0.1", 20.0),
    )  # fmt: skip
    cells = [
        cell(model, attack, "0.1", (), images=N) for model in "ab" for attack in ("pgd", "fgsm")
    ]
    said = (
        claim(eps=("0", "0.1")), claim(attacks=("pgd", "fgsm")), claim(expect="left = right", within=4.0),
        claim(left="a", right=None, attacks=("pgd",), right_attacks=("fgsm",)),
    )  # fmt: skip
    found = judged(printed, *said, cells=cells, stands_for=lambda title: f"digits/{title.upper()}")
    assert found["in_print"].tolist() == [FAILS, HOLDS, HOLDS, HOLDS, HOLDS]
    assert found["left_printed"].tolist() == pytest.approx([0.9, 0.5, 0.5, 0.5, 0.5])
    assert found["right_printed"].tolist() == pytest.approx([0.95, 0.47, 0.47, 0.47, 0.2])


def test_printed_critical_eps():
    rows = [{"model": model, "attack": "fgsm-radius", "eps": None, "metric": metric, "published": value}
            for model, accuracy, radius in (("a", 90.0, 0.01), ("b", 80.0, 0.02), ("c", 70.0, 0.03))
            for metric, value in (("accuracy", accuracy), ("critical_eps", radius))]  # fmt: skip
    cells = [cell(model, "fgsm-radius", None, (), radii=[0.01] * N, images=N) for model in "abc"]
    plain = {"attacks": ("fgsm-radius",), "eps": ()}
    said = (
        claim(measure="critical_eps", **plain),
        claim(measure="order", left="*", right=None, expect="opposite order", **plain),
    )
    found = judged(beside(*rows), *said, cells=cells)
    assert found["in_print"].tolist() == [FAILS, HOLDS]
    assert found.loc[0, ["left_printed", "right_printed"]].tolist() == [0.01, 0.02]


@pytest.mark.parametrize(("verdicts", "overall"), [
    ((HOLDS, HOLDS, NOT_PRINTED), HOLDS), ((FAILS, NOT_PRINTED), FAILS), ((NOT_PRINTED,), NOT_PRINTED),
    ((HOLDS, FAILS, HOLDS, NOT_PRINTED), "holds in 2 of 3"),
])  # fmt: skip
def test_a_claim_in_print(verdicts, overall):
    one = asked(settings=((FOOLING, FOOLING),) * len(verdicts))
    results = build.results(
        [cell(model, "fgsm", "0.1", range(5), images=N, columns=KNOWN) for model in "ab"],
        one,
        images=N,
    )
    compared = comparisons(Outcomes(results))
    found = printed_claims(claims(results, compared), compared.assign(in_print=verdicts))
    assert found.loc[0, "in_print"] == overall


def test_findings_of_a_study_alone_say_what_is_printed():
    results = build.results(
        [cell(model, "fgsm", "0.1", range(5), images=N, columns=KNOWN) for model in "ab"],
        asked(),
        images=N,
    )
    measured = measure(results)
    plain = Findings(results=results, measured=measured)
    assert "in_print" not in plain.claims
    assert "in_print" not in plain.comparisons
    study = Findings(results=results, measured=measured, beside=of_cells())
    assert study.claims["in_print"].tolist() == [HOLDS]
    assert study.comparisons["in_print"].tolist() == [HOLDS]

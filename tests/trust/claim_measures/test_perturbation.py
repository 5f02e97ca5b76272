"""Claims about figures of perturbations, on planted cells whose figures are known by hand."""

from __future__ import annotations

from math import comb

import build
import numpy as np
import pandas as pd
import pytest
from build import cell

from bench.measure.outcomes import Outcomes
from bench.measure.statistics import holm
from bench.spec import Claim, Setting
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.verdicts import FAILS, HOLDS, UNDECIDED, UNJUDGED

N = 40
KNOWN = {"clean_l2": 1.0, "centred_l2": 1.0}


def planted(model, broken=(), attack="pgd", eps="0.1", **more):
    """Return a cell of N images that has figures of perturbations."""
    more["columns"] = {**KNOWN, **more.get("columns", {})}
    return cell(model, attack, eps, broken, images=N, **more)


def setting(figure="fooling", attack="pgd", eps: str | None = "0.1", **more) -> Setting:
    return Setting(**{"attack": attack, "norm": "linf", "eps": eps, "figure": figure, **more})


def asked(one: Setting | None = None, other: Setting | None = None, **fields) -> Claim:
    """Return a claim that a > b in the fooling rate, with other fields as given."""
    left = one or setting()
    pair = (left, None if "bound" in fields else other or left)
    return Claim(**{
        "says": "a beats b", "left": "a", "right": None if "bound" in fields else "b",
        "attacks": (left.attack,), "norm": "linf", "eps": ("0.1",), "expect": "left > right",
        "measure": "perturbation", "settings": (pair,), **fields,
    })  # fmt: skip


def compared(cells, *claims, **more) -> pd.DataFrame:
    return comparisons(Outcomes(build.results(cells, *claims, images=N, **more)))


def only(cells, claim, **more):
    found = compared(cells, claim, **more)
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(("left", "right", "verdict"), [
    (range(30), range(5), HOLDS), (range(5), range(30), FAILS), (range(20), range(18), UNDECIDED),
])  # fmt: skip
def test_each_verdict_on_fooling_rates(left, right, verdict):
    row = only([planted("a", left), planted("b", right)], asked())
    assert row["verdict"] == verdict
    assert (row["left_value"], row["right_value"]) == (len(left) / N, len(right) / N)
    assert (row["n"], row["measure"], row["data"]) == (N, "perturbation", "digits")
    assert (row["left_cells"], row["right_cells"]) == ("cell-0", "cell-1")
    assert (row["left_figure"], row["right_figure"]) == ("fooling", "fooling")
    assert pd.isna(row["strongest_p"])


def test_fooling_rates_are_compared_image_by_image():
    """The left alone is fooled on nine images, the right alone on one: exact McNemar."""
    row = only([planted("a", range(1, 30)), planted("b", range(21))], asked())
    assert row["p"] == row["p_holm"] == pytest.approx(2 * (1 + 10) / 2**10)
    assert row["verdict"] == HOLDS


def test_images_that_one_model_gets_wrong_do_not_count():
    cells = [planted("a", range(30)), planted("b", range(5))]
    row = only(cells, asked(), wrong={"a": range(10, 30), "b": range(35, 40)})
    assert (row["n"], row["left_value"], row["right_value"]) == (15, 10 / 15, 5 / 15)


def test_p_values_are_adjusted_together_with_those_of_other_claims():
    cells = [planted("a", range(15)), planted("b", range(9))]
    plain = build.claim(attacks=("pgd",))
    bounded = asked(bound=0.9, expect="left < bound")
    found = compared(cells, asked(), plain, asked(expect="left < right"), bounded)
    by_hand = holm(found["p"].tolist())
    assert found["p_holm"].tolist() == pytest.approx(by_hand)
    assert found.loc[0, "p"] == pytest.approx(2 / 2**6)
    assert found.loc[0, "verdict"] == UNDECIDED


@pytest.mark.parametrize(("expect", "bound", "verdict"), [
    ("left > bound", 0.5, HOLDS), ("left > bound", 0.9, UNDECIDED), ("left > bound", 0.99, FAILS),
    ("left < bound", 0.99, HOLDS), ("left < bound", 0.5, FAILS),
])  # fmt: skip
def test_a_bound(expect, bound, verdict):
    row = only([planted("a", range(34))], asked(expect=expect, bound=bound))
    assert row["verdict"] == verdict
    assert (row["left_value"], row["right_value"], row["difference"]) == (
        pytest.approx(0.85), bound, pytest.approx(0.85 - bound),
    )  # fmt: skip
    assert row["low"] < row["difference"] < row["high"]
    assert pd.isna(row["right"])
    assert pd.isna(row["right_cells"])


@pytest.mark.parametrize(("within", "verdict"), [(10.0, HOLDS), (1.0, UNDECIDED)])
def test_equal_shares_are_within_points(within, verdict):
    cells = [planted("a", range(20)), planted("b", range(20))]
    row = only(cells, asked(expect="left = right", within=within))
    assert row["verdict"] == verdict
    assert pd.isna(row["p_holm"])
    far = [planted("a", range(20)), planted("b", range(38))]
    assert only(far, asked(expect="left = right", within=10.0))["verdict"] == FAILS


def test_equal_sizes_are_within_their_own_unit():
    sizes = [0.3 + 0.01 * np.arange(N), 0.31 + 0.01 * np.arange(N)]
    cells = [planted(model, columns={"l2": of}) for model, of in zip("ab", sizes, strict=True)]
    wide, narrow = (
        asked(setting("delta_l2"), expect="left = right", within=within) for within in (0.02, 0.001)
    )
    found = compared(cells, wide, narrow)
    assert found["verdict"].tolist() == [HOLDS, FAILS]
    assert found["difference"].tolist() == pytest.approx([-0.01, -0.01])


@pytest.mark.parametrize(("figure", "column", "left", "right"), [
    ("iterations", "iterations", [3, 4] * 20, [1, 2] * 20),
    ("delta_linf", "linf", np.linspace(0.2, 0.4, N), np.linspace(0.1, 0.3, N)),
    ("confidence_tried", "adv_confidence", np.linspace(0.5, 0.9, N), np.linspace(0.4, 0.8, N)),
    ("median_values", "changed_values", np.linspace(0.1, 0.5, N), np.linspace(0.0, 0.4, N)),
    ("median_pixels", "changed_pixels", np.linspace(0.1, 0.5, N), np.linspace(0.0, 0.4, N)),
    ("rho_l2", "l2", np.linspace(0.2, 0.4, N), np.linspace(0.1, 0.3, N)),
    ("unclipped_delta_l2", "unclipped_l2", np.linspace(2, 4, N), np.linspace(1, 3, N)),
])  # fmt: skip
def test_each_kind_of_figure(figure, column, left, right):
    cells = [planted("a", columns={column: left}), planted("b", columns={column: right})]
    row = only(cells, asked(setting(figure)))
    assert row["verdict"] == HOLDS
    middle = np.median if "median" in figure else np.mean
    assert row["left_value"] == pytest.approx(middle(left))
    assert row["difference"] == pytest.approx(middle(left) - middle(right))
    assert row["low"] <= row["difference"] + 1e-12
    assert row["difference"] <= row["high"] + 1e-12


def test_the_confidence_of_the_fooled_is_that_of_the_images_fooled():
    sure = np.where(np.arange(N) < 20, 0.9, 0.1) + 0.001 * np.arange(N)
    cells = [planted("a", range(20), columns={"adv_confidence": sure}),
             planted("b", range(10, 30), columns={"adv_confidence": sure})]  # fmt: skip
    row = only(cells, asked(setting("confidence_fooled")))
    assert (row["left_value"], row["right_value"]) == pytest.approx(
        (sure[:20].mean(), sure[10:30].mean())
    )
    assert row["verdict"] == HOLDS


def test_what_the_clip_takes():
    before = np.linspace(2, 4, N)
    cells = [planted("a", columns={"l2": 0.5 * before, "unclipped_l2": before}),
             planted("b", columns={"l2": 0.9 * before + 0.01, "unclipped_l2": before})]  # fmt: skip
    row = only(cells, asked(setting("delta_reduction_l2")))
    assert row["left_value"] == pytest.approx(0.5)
    assert row["right_value"] == pytest.approx(0.1 - 0.01 / 3)
    assert row["verdict"] == HOLDS


def test_two_figures_of_one_cell():
    labels = np.where(np.arange(N) < 38, 1, 0)
    claim = asked(
        setting(), setting("unclipped_fooling"), left="*", right=None, expect="left < right"
    )
    row = only([planted("a", range(20), columns={"unclipped_label": labels})], claim)
    assert (row["left_value"], row["right_value"], row["verdict"]) == (0.5, 38 / N, HOLDS)
    assert row["p"] == pytest.approx(2 / 2**18)


@pytest.mark.parametrize(("figure", "verdict"), [("iterations", HOLDS), ("fooling", FAILS)])
def test_two_settings_of_one_model(figure, verdict):
    cells = [
        planted("a", range(10 * turn), eps=None, attack="sparsefool", norm="l0",
                columns={"iterations": 9 - turn + np.arange(N) % 2},
                parameters={"lambda": str(turn), "steps": 20})
        for turn in (1, 2, 3)
    ]  # fmt: skip
    sides = [
        setting(figure, "sparsefool", None, norm="l0", parameters=(("lambda", value),))
        for value in "123"
    ]
    claim = asked(sides[0], left="a", right=None,
                  settings=((sides[0], sides[1]), (sides[1], sides[2])))  # fmt: skip
    found = compared(cells, claim)
    assert found["case"].tolist() == ["lambda 1 : 2", "lambda 2 : 3"]
    assert found["left_cells"].tolist() == ["cell-0", "cell-1"]
    assert found["verdict"].tolist() == [verdict] * 2
    assert found["eps"].isna().all()


def test_every_pair_of_models_that_the_run_attacks_so_is_compared():
    cells = [planted("a", range(30)), planted("b", range(5)), planted("c", attack="bim")]
    found = compared(cells, asked(left="a", right="*"))
    assert found[["left", "right", "verdict"]].to_numpy().tolist() == [["a", "b", HOLDS]]
    named = only(cells, asked(left="a", right="c"))
    assert (named["verdict"], named["note"]) == (UNJUDGED, "right: no pgd linf 0.1 in this run")


def test_of_a_pattern_each_model_is_compared_in_the_settings_that_the_run_has_for_it():
    """No perturbation is transferred to the model that it was fitted on."""
    cells = [
        planted(model, attack="universal", parameters={"fitted_on": f"digits/{donor}"})
        for model in "abc" for donor in "abc" if model != donor
    ]  # fmt: skip
    sides = {
        donor: setting(attack="universal", parameters=(("fitted_on", f"digits/{donor}"),))
        for donor in "abc"
    }
    pairs = ((sides["a"], sides["b"]), (sides["a"], sides["c"]))
    found = compared(cells, asked(left="*", right=None, settings=pairs))
    assert found["left"].tolist() == ["b", "c"]
    assert found["case"].tolist() == ["b, fitted_on a : c", "c, fitted_on a : b"]


@pytest.mark.parametrize(("named", "cell_of_left"), [
    ({"parameters": (("steps", 40),)}, "cell-1"), ({"batch_size": 1}, "cell-2"),
    ({"toolkit": "art", "parameters": (("steps", 10),)}, "cell-3"),
])  # fmt: skip
def test_parameters_tell_cells_apart(named, cell_of_left):
    cells = [
        planted("a", range(1), parameters={"steps": 10}),
        planted("a", range(2), parameters={"steps": 40}),
        planted("a", range(3), parameters={"steps": 10}, batch_size=1),
        planted("a", range(4), parameters={"steps": 10}, toolkit="art"),
    ]
    row = only(cells, asked(setting(**named), bound=0.5, expect="left < bound"))
    assert row["left_cells"] == cell_of_left


def test_a_parameter_that_was_added_later_has_its_default():
    cells = [planted("a", range(30), attack="fgsm"),
             planted("a", range(5), attack="fgsm", parameters={"loss": "logit"})]  # fmt: skip
    sides = [setting(attack="fgsm", parameters=(("loss", loss),)) for loss in ("ce", "logit")]
    row = only(cells, asked(*sides, left="a", right=None))
    assert (row["left_cells"], row["right_cells"], row["case"]) == (
        "cell-0",
        "cell-1",
        "loss ce : logit",
    )


def test_the_largest_batches_count_and_then_the_most_images():
    cells = [
        planted("a", range(1), batch_size=1),
        cell("a", "pgd", "0.1", range(2), images=30, columns=KNOWN),
        planted("a", range(3)),
    ]
    row = only(cells, asked(bound=0.5, expect="left < bound"))
    assert row["left_cells"] == "cell-2"


@pytest.mark.parametrize(("cells", "claim", "words"), [
    ([planted("a", parameters={"steps": 1}), planted("a", parameters={"steps": 2}), planted("b")],
     asked(), "left: 2 cells are pgd linf 0.1; they differ in steps, so say which"),
    ([planted("a", parameters={"steps": 1}), planted("b", parameters={"steps": 2})],
     asked(), "the attacks of the sides differ in steps too"),
    ([planted("a")], asked(), "no model of this run for the right"),
    ([planted("a"), planted("b", status="failed", error="out of memory")],
     asked(), "right: pgd linf 0.1 did not run: out of memory"),
    ([planted("a"), planted("b", invalid=range(N))], asked(), "right: pgd linf 0.1 gave no valid image"),
    ([planted("a"), planted("b")], asked(setting("unclipped_fooling")),
     "both: it has no fooling rate before the clip"),
    ([planted("a"), planted("b")], asked(setting("fit_fooling")), "both: it is fitted on no images"),
    ([planted("a"), planted("b")], asked(setting("seconds")),
     "images attacked together are not timed one by one; name batch_size = 1, and have such an attack"),
    ([planted("a", range(5)), planted("b", range(9))], asked(setting("confidence_fooled")),
     "5 images that count on both sides; with fewer than 6 no test decides"),
    ([planted("a"), planted("b", columns={"clean_l2": np.nan})], asked(),
     "right: no image was attacked, or the rows are of an older version"),
])  # fmt: skip
def test_why_it_is_not_judged(cells, claim, words):
    row = only(cells, claim)
    assert (row["verdict"], row["note"]) == (UNJUDGED, words)


def test_seconds_of_images_attacked_one_by_one():
    cells = [
        planted(model, batch_size=1, columns={"seconds": (1 + 0.1 * (np.arange(N) % 3)) * slow})
        for model, slow in (("a", 2), ("b", 1))
    ]
    assert only(cells, asked(setting("seconds")))["verdict"] == HOLDS


def fitted(model, fooled, passes, broken):
    fit = {"images": 100, "fooling": fooled / 100, "passes": passes, "seconds": 9.5}
    return planted(model, broken, attack="universal", fit=fit, parameters={"fitted_on": "itself"})


def test_the_images_of_a_fit_are_others_than_those_attacked():
    claim = asked(setting(attack="universal"), setting("fit_fooling", "universal"), left="a", right=None,
                  expect="left < right")  # fmt: skip
    row = only([fitted("a", 80, 4, range(10))], claim)
    chances = [comb(40, k) * comb(100, 90 - k) / comb(140, 90) for k in range(41)]
    assert row["p"] == pytest.approx(sum(c for c in chances if c <= chances[10] * (1 + 1e-9)))
    assert (row["verdict"], row["note"]) == (HOLDS, "of different images on either side")
    bound = asked(setting("fit_fooling", "universal"), bound=0.95, expect="left < bound")
    assert only([fitted("a", 80, 4, range(10))], bound)["verdict"] == HOLDS


@pytest.mark.parametrize(("passes", "verdict"), [(10, HOLDS), (4, FAILS), (5, FAILS)])
def test_passes_are_compared_as_they_are(passes, verdict):
    claim = asked(setting("fit_passes", "universal"))
    cells = [fitted("a", 80, passes, []), fitted("b", 80, 5, [])]
    found = compared(cells, claim, asked(setting(attack="universal")))
    row = found.iloc[0]
    assert (row["verdict"], row["note"]) == (verdict, "of one fit, compared without a test")
    assert pd.isna(row["p_holm"])
    assert found.loc[1, "p_holm"] == found.loc[1, "p"]  # adjusted alone


def test_what_is_asked_in_words():
    said = [
        asked(),
        asked(bound=0.8, expect="left > bound"),
        asked(expect="left = right", within=2.0),
        asked(setting("delta_l2"), expect="left = right", within=0.25),
        asked(setting(), setting("unclipped_fooling"), right=None),
    ]
    results = build.results([planted("a"), planted("b")], *said, images=N)
    found = claims(results, comparisons(Outcomes(results)))
    assert found["attacks"].tolist()[:3] == ["pgd", "pgd", "pgd"]
    assert found["expect"].tolist() == [
        "left > right in fooling rate",
        "left > 80 % in fooling rate",
        "left = right within 2 points in fooling rate",
        "left = right within 0.25 in mean l2 size",
        "left > right in fooling rate : fooling rate before the clip",
    ]


def test_attacks_in_words_have_the_parameters_that_do_not_vary():
    sides = [
        setting(
            attack="sparsefool", eps=None, norm="l0", parameters=(("box", "1"), ("lambda", value))
        )
        for value in "12"
    ]
    fgsm = setting(attack="fgsm", parameters=(("loss", "logit"),), batch_size=1)
    said = [
        asked(*sides, left="a", right=None),
        asked(fgsm, sides[0], left="a", right=None),
        asked(fgsm),
    ]
    found = compared([planted("a"), planted("b")], *said)
    assert found["case"].tolist() == ["lambda 1 : 2", "fgsm linf 0.1 : sparsefool l0", ""]
    results = build.results([planted("a"), planted("b")], *said, images=N)
    assert claims(results, found)["attacks"].tolist() == [
        "sparsefool, box 1",
        "fgsm, loss logit, batch_size 1 against sparsefool, box 1, lambda 1",
        "fgsm, loss logit, batch_size 1",
    ]

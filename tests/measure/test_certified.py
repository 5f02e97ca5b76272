"""Certified accuracy, the average radius and the sandwich, on results known beforehand."""

import build
import numpy as np
import pytest
from build import cell
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.certified import certificates, certified_bounds, certified_curve
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.statistics import wilson
from bench.measure.validity import flagged_cells

WORDS = {"n0": 100, "n": 1000, "alpha": "0.001"}
#: Image 0 is wrong, image 1 gets no class, the others are certified from 0.01 up to 0.2.
RADII = [0.3, 0.0, *(np.arange(1, 19) / 90)]


def proven(radii=RADII, parameters=WORDS, model="a", **more):
    return cell(model, "certify", None, (), norm="l2", certified=radii, images=len(radii),
                parameters=parameters, toolkit="native", surface="predict", **more)  # fmt: skip


def attack(eps, broken=(), norm="l2", **more):
    return cell("a", "pgd", eps, broken, norm=norm, images=20, **more)


def run(*cells, wrong=(0,)):
    return build.results([proven(), *cells], wrong={"a": wrong}, images=20)


def test_radii_are_those_of_right_decisions():
    (radii,) = Outcomes(run()).certified_radii.values()
    assert radii.tolist() == [0, 0, *RADII[2:]]


def test_the_figures_of_certificates_by_hand():
    (row,) = certificates(Outcomes(run())).to_dict("records")
    assert (row["n"], row["accuracy"], row["abstained"]) == (20, 18 / 20, 1 / 20)
    assert (row["low"], row["high"]) == wilson(18, 20)
    assert row["average_radius"] == pytest.approx(sum(RADII[2:]) / 20)
    assert row["largest"] == 0.2
    assert row["parameters"] == "n0 100, n 1000, alpha 0.001"
    assert (row["inside"], row["flag"]) == (0, "")


@settings(max_examples=30)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=60))
def test_certified_accuracy_is_the_share_above_the_radius_and_falls(radii):
    found = certified_curve(Outcomes(build.results([proven(radii)], images=len(radii))))
    for eps, accuracy in zip(found["radius"], found["accuracy"], strict=True):
        assert accuracy == np.mean([radius > eps for radius in radii])
    assert found["accuracy"].is_monotonic_decreasing
    assert found["accuracy"].iloc[-1] == 0


def test_the_true_accuracy_lies_between_certified_and_attacked():
    # An attack at 0.1 changes five labels: of images 2 to 6, certified up to at most 5/90.
    results = run(attack("0.1", range(2, 7)), attack("0.02", ()))
    table = certified_bounds(Outcomes(results)).set_index("eps_text")
    assert table.index.tolist() == ["0.02", "0.1"]
    assert table.loc["0.1", "certified"] == 9 / 20  # 10/90 to 18/90
    assert table.loc["0.1", "attacked"] == 14 / 20  # all but the wrong one and those five
    assert table.loc["0.1", "abstained"] == 0
    assert table.loc["0.02", "certified"] == 17 / 20
    assert table.loc["0.02", "attacked"] == 19 / 20
    assert (table["certified"] <= table["attacked"]).all()
    assert not table["flag"].any()


def test_certificates_at_radii_have_their_copies_and_say_where_more_may_be_certified():
    at = proven(parameters=WORDS | {"radii": "0.02 0.2"})
    results = build.results([at, proven(model="b"), attack("0.1"), attack("0.02")], images=20)
    results.rows.loc[results.rows["cell"] == results.rows["cell"].iloc[0], "forwards"] = [
        40,
        60,
    ] * 10
    table = certificates(Outcomes(results))
    assert table["copies"].tolist() == [50, table["copies"].iloc[1]]
    assert table["parameters"].iloc[0] == "n0 100, n 1000, alpha 0.001, radii 0.02 0.2"
    flags = certified_bounds(Outcomes(results)).set_index("eps_text")["flag"]
    assert flags["0.02"] == ""
    assert flags["0.1"] == "not among the radii of the certificates, so more may be certified"


def test_an_abstention_under_attack_is_no_change_of_label_but_lowers_accuracy():
    results = run(attack("0.1", (), abstained=range(10, 14), no_class=(1,)))
    (row,) = certified_bounds(Outcomes(results)).to_dict("records")
    assert row["attacked"] == 19 / 20
    assert row["abstained"] == 5 / 20
    assert headline(Outcomes(results))["robust_accuracy"].tolist() == [14 / 20]


def test_labels_changed_within_certified_radii_are_counted_in_any_norm_and_judged_by_alpha():
    # Change of size 0.1 in l2 too: images 11 to 19 are certified beyond it.
    one = run(attack("0.1", [12]))
    (row,) = certificates(Outcomes(one)).to_dict("records")
    assert (row["inside"], row["flag"]) == (1, "")  # 18 certificates: alpha may explain one
    many = run(attack("0.1", [3, 12, 15], norm="linf"))
    (row,) = certificates(Outcomes(many)).to_dict("records")
    assert row["inside"] == 2
    assert "2 radii of 20 asked for; alpha is 0.001" in row["flag"]
    assert certified_bounds(Outcomes(many)).empty  # of linf there is none
    every = run(attack("0.1", range(20)))
    assert certified_bounds(Outcomes(every))["flag"].tolist() == ["certified above attacked"]


def test_certificates_are_no_attacks():
    results = run(attack("0.1", [3]))
    assert flagged_cells(results)["attack"].tolist() == ["pgd"]
    figures = headline(Outcomes(results)).to_dict("records")
    assert [(row["attacks"], row["planned"]) for row in figures] == [(1, 1)]
    # The clean accuracy is that of predictions: here they get image 1 right.
    assert figures[0]["clean_accuracy"] == 19 / 20


def test_without_certificates_there_are_no_figures():
    results = build.results([attack("0.1", [3])], images=20)
    for table in (
        certificates(Outcomes(results)),
        certified_curve(Outcomes(results)),
        certified_bounds(Outcomes(results)),
    ):
        assert table.empty
        assert "model" in table


@pytest.mark.parametrize(("surfaces", "flag"), [
    (["one-draw", "base"], "through one noise draw only"),
    (["one-draw", "expected"], ""),
    (["predict"], "black-box attacks only"),
])  # fmt: skip
def test_a_figure_through_one_draw_is_marked(surfaces, flag):
    cells = [cell("a", "pgd", "0.1", [1], surface=one) for one in surfaces]
    assert headline(Outcomes(build.results(cells)))["flag"].tolist() == [flag]

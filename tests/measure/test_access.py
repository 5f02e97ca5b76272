"""What attacks know of a model, and accuracy by it, on planted cells."""

from __future__ import annotations

import build
import pytest
from build import cell

from bench.measure.access import WORST, access_curves, access_of
from bench.measure.outcomes import Outcomes

EXACT, FOREST = "digits/logistic", "digits/forest"


def planned(**facts):
    plain = {"surface": "network", "access": "white", "crafted_on": None, "parameters": {}}
    return {**plain, **facts}


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, "exact"),
        ({"surface": "exact"}, "exact"),
        ({"surface": "distilled"}, "surrogate"),
        ({"surface": "substitute-500", "access": "decision"}, "substitute"),
        ({"surface": "substitute-500-scores", "access": "score"}, "substitute"),
        ({"surface": "of digits/cnn", "crafted_on": "digits/cnn"}, "transfer"),
        ({"parameters": {"fitted_on": "digits/cnn"}}, "transfer"),
        ({"parameters": {"fitted_on": "itself"}}, "exact"),
        ({"surface": "predict", "access": "score"}, "scores"),
        ({"surface": "predict", "access": "decision"}, "decisions"),
    ],
)
def test_what_an_attack_knows_of_a_model(facts, kind):
    assert access_of(planned(**facts)) == kind


def curves(*cells, images=100, **more):
    made = build.results(cells, images=images, **more)
    known = {"square": "score", "hopskipjump": "decision", "noise": "decision"}
    access = made.cells["attack"].map(known).fillna("white")
    return access_curves(Outcomes(build.replace(made, cells=made.cells.assign(access=access))))


def at(found, access, eps):
    chosen = found[(found["access"] == access) & ((found["eps"] - eps).abs() < 1e-9)]
    assert len(chosen) == 1, found
    return chosen.iloc[0]


def test_each_kind_of_access_has_a_curve_and_the_worst_case_takes_all_image_by_image():
    found = curves(
        cell(FOREST, "pgd", "0.1", range(10), surface="distilled"),
        cell(FOREST, "square", "0.1", range(5, 30), surface="predict"),
        cell(FOREST, "noise", "0.1", range(90, 100), surface="predict"),
        wrong={FOREST: [40]},
    )
    assert list(dict.fromkeys(found["access"])) == ["surrogate", "scores", WORST]
    assert at(found, "surrogate", 0.1)["accuracy"] == pytest.approx(0.89)
    assert at(found, "scores", 0.1)["accuracy"] == pytest.approx(0.74)
    assert at(found, WORST, 0.1)["accuracy"] == pytest.approx(0.59)
    for access in ("surrogate", "scores", WORST):
        assert at(found, access, 0)["accuracy"] == pytest.approx(0.99)
        assert at(found, access, 0)["n"] == 100


def test_all_curves_of_a_model_are_on_the_images_that_every_attack_has():
    found = curves(
        cell(FOREST, "pgd", "0.1", range(60), surface="distilled"),
        cell(FOREST, "square", "0.1", range(5), surface="predict", images=50),
    )
    assert set(found["n"]) == {50}
    assert at(found, "surrogate", 0.1)["accuracy"] == 0
    assert at(found, "scores", 0.1)["accuracy"] == pytest.approx(0.9)


def test_an_attack_that_looks_for_the_nearest_image_has_a_point_at_each_radius():
    found = curves(
        cell(FOREST, "pgd", "0.1", range(10), surface="distilled"),
        cell(FOREST, "pgd", "0.2", range(20), surface="distilled"),
        cell(FOREST, "hopskipjump", None, range(50), surface="predict",
             distance={image: 0.05 if image < 30 else 0.15 for image in range(50)}),
    )  # fmt: skip
    assert sorted(set(found["eps"])) == pytest.approx([0, 0.1, 0.2])
    assert [at(found, "decisions", eps)["accuracy"] for eps in (0.1, 0.2)] == pytest.approx(
        [0.7, 0.5]
    )


def test_a_model_attacked_in_one_way_alone_has_no_curves():
    found = curves(
        cell(EXACT, "pgd", "0.1", range(10), surface="exact"),
        cell(EXACT, "fgsm", "0.1", range(5), surface="exact"),
        cell(EXACT, "noise", "0.1", [], surface="predict"),
    )
    assert found.empty
    assert "access" in found

"""How good attacks are beside one another: planted distances, scores by hand."""

from __future__ import annotations

import build
import numpy as np
import pytest
from build import cell

from bench.measure.outcomes import Outcomes
from bench.measure.quality import contests, quality, success_against_passes
from bench.report.labels import attack_names


def compared(*cells, **more):
    results = build.results(cells, images=10, **more)
    return contests(Outcomes(results), attack_names(results))


def scores(*cells, **more):
    """Return the scores of the attacks on one model, by attack."""
    return quality(compared(*cells, **more)).set_index("attack")


def nearest(name, distance, model="m", **more):
    """Return a minimal-norm attack that breaks images at these distances."""
    return cell(model, name, None, distance, distance=distance, **more)


def test_minimal_norm_attacks_have_their_optimality_against_the_best_of_the_run() -> None:
    near = {0: 0.1, 1: 0.2, 2: 0.5}
    far = {0: 0.2, 1: 0.1, 3: 0.9}
    found = scores(nearest("deepfool", near, steps=2), nearest("cw", far, steps=8))
    # The best are 0.1, 0.1, 0.5 and 0.9, and the area ends at 0.9.
    best = 0.8 + 0.8 + 0.4
    deepfool, cw = found.loc["deepfool"], found.loc["cw"]
    assert deepfool["optimality"] == pytest.approx((0.8 + 0.7 + 0.4) / best)
    assert cw["optimality"] == pytest.approx((0.7 + 0.8) / best)
    assert (deepfool["success"], deepfool["n"], deepfool["radii"]) == (0.3, 10, "")
    # A forward pass for the harness's builder is 2 more than its steps: 2 + 4 and 8 + 10.
    assert (deepfool["passes"], cw["passes"]) == (6, 18)
    assert deepfool["optimality_equal_passes"] == 1
    assert cw["optimality_equal_passes"] == pytest.approx((0.7 + 0.8) / best)
    assert cw["optimality_per_pass"] == pytest.approx((0.7 + 0.8) / best / 18)
    assert np.isnan(cw["at_radii"])


def test_all_attacks_are_counted_at_the_radii_at_which_they_ran() -> None:
    found = scores(
        cell("m", "fgsm", "0.1", {0, 1}),
        cell("m", "fgsm", "0.2", {0, 1, 2}),
        cell("m", "pgd", "0.2", {0, 1, 2, 3}, steps=9),
        nearest("deepfool", {0: 0.15, 4: 0.05}, steps=30),
        cell("m", "noise", "0.2", {5}),
    )
    # Broken by any attack: 0, 1 and 4 within 0.1; 0 to 5 within 0.2.
    fgsm, pgd, deepfool = (found.loc[name] for name in ("fgsm", "pgd", "deepfool"))
    assert fgsm["at_radii"] == pytest.approx((2 + 3) / (3 + 6))
    assert (fgsm["radii"], fgsm["success"], fgsm["passes"]) == ("0.1, 0.2", 0.25, 4)
    assert (fgsm["at_radii_equal_passes"], fgsm["at_radii_per_pass"]) == (1, fgsm["at_radii"] / 4)
    assert pgd["at_radii"] == pytest.approx(4 / 6)
    assert deepfool["at_radii"] == pytest.approx((1 + 2) / (3 + 6))
    assert deepfool["at_radii_equal_passes"] == pytest.approx((1 + 2) / (3 + 5))
    assert np.isnan(fgsm["optimality"])
    assert "noise" not in found.index


def test_passes_that_differ_by_a_tenth_are_equal() -> None:
    # 22 + 20 passes and 24 + 22, then 30 + 28.
    first, second = {0: 0.1, 1: 0.4}, {0: 0.2, 1: 0.4, 2: 0.1}
    near = scores(nearest("deepfool", first, steps=20), nearest("cw", second, steps=22))
    far = scores(nearest("deepfool", first, steps=20), nearest("cw", second, steps=28))
    assert near.loc["deepfool", "optimality_equal_passes"] == pytest.approx(0.5)
    assert far.loc["deepfool", "optimality_equal_passes"] == 1


def test_an_attack_that_never_ran_has_0_and_its_flag() -> None:
    dead = nearest("cw", {}, invalid=range(10))
    found = scores(nearest("deepfool", {0: 0.1, 1: 0.4}), dead)
    row = found.loc["cw"]
    assert (row["optimality"], row["flag"]) == (0, "INVALID: gave no valid image")


def test_images_that_the_model_gets_wrong_count_nowhere() -> None:
    cells = cell("m", "fgsm", "0.1", {1}), cell("m", "pgd", "0.1", {1, 2})
    found = scores(*cells, wrong={"m": {0, 1}})
    assert found["n"].tolist() == [8, 8]
    assert found["at_radii"].tolist() == [0, 1]


@pytest.mark.parametrize(
    "cells",
    [
        [cell("m", "pgd", "0.1", {0}, toolkit=name) for name in ("art", "foolbox")],
        [cell("m", "pgd", "0.1", {0}), cell("m", "pgd", "0.1", {0}, norm="l2")],
        [cell("m", "pgd", "0.1", {0}), cell("k", "fgsm", "0.1", {0})],
        [cell("m", "pgd", "0.1", {0}), cell("m", "noise", "0.1", {0})],
        [cell("m", "pgd", "0.1", {0}), cell("m", "fgsm", "0.1", {0}, status="failed")],
        [cell("m", "pgd", "0.1", {0}), cell("m", "fgsm", "0.1", {0}, goal="targeted")],
        [
            cell("m", "pgd", "0.1", {0}),
            cell("m", "universal", "0.1", {0}, parameters={"fitted_on": "itself"}),
        ],
        [cell("m", "pgd", "0.1", {0}), cell("m", "fgsm", "0.1", {0}, surface="substitute-500")],
    ],
)
def test_one_attack_of_a_norm_on_one_model_is_no_contest(cells) -> None:
    assert compared(*cells) == []


def test_the_figure_shows_the_radius_at_which_attacks_differ_most() -> None:
    found = compared(
        *(
            made
            for model, more in (("m", ()), ("k", (9,)))
            for made in (
                cell(model, "fgsm", "0.1", {0}),
                cell(model, "fgsm", "0.2", {1}),
                cell(model, "pgd", "0.1", {0, 1}, steps=9),
                cell(model, "pgd", "0.2", {2, 3, 4, 5, *more}, steps=9),
                cell(model, "bim", "0.2", {2}, steps=99),
                # Made on one of the models alone, it would be compared with means over both.
                *([cell(model, "apgd", "0.2", set(range(9)))] if model == "m" else []),
            )
        )
    )
    points = success_against_passes(found)
    assert points["eps"].unique().tolist() == ["0.2"]
    assert points["asked"].all()
    assert points["attack"].tolist() == ["fgsm", "pgd", "bim"]
    assert points["success"].tolist() == pytest.approx([0.1, 0.45, 0.1])
    assert points["together"].tolist() == pytest.approx([0.1, 0.55, 0.55])
    assert (points["together"] >= points["success"]).all()
    assert points["models"].tolist() == [2, 2, 2]


def test_without_radii_the_figure_shows_the_median_of_the_best() -> None:
    found = compared(
        nearest("deepfool", {0: 0.1, 1: 0.2, 2: 0.5}),
        nearest("cw", {0: 0.3, 2: 0.6}, steps=5),
        nearest("ddn", {0: 0.2}, steps=9),
    )
    points = success_against_passes(found)
    assert points["eps"].tolist() == ["0.2"] * 3
    assert not points["asked"].any()
    assert points["success"].tolist() == [0.2, 0, 0.1]
    assert points["together"].tolist() == [0.2, 0.2, 0.2]


def test_two_attacks_are_no_figure() -> None:
    found = compared(cell("m", "fgsm", "0.1", {0}), cell("m", "pgd", "0.1", {0, 1}))
    assert success_against_passes(found).empty

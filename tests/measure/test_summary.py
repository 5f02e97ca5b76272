"""One cell in a few numbers, against numbers counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.measure.summary import summary


def _rows(**given: object) -> pd.DataFrame:
    rows = pd.DataFrame({
        "kind": "attack",
        "correct": [True, True, True, True, False],
        "adv_label": pd.array([1, 2, 0, 0, None], dtype="Int64"),
        "success": [True, True, False, False, False],
        "invalid": [None, None, None, "over budget", None],
        "borderline": [False, True, False, False, False],
        "abstained": [False, False, True, False, False],
        "l0": 3.0, "l1": 1.0, "l2": [0.5, 1.5, 9.0, 9.0, None], "linf": 0.1,
        "forwards": pd.array([10, 20, 30, 40, None], dtype="Int64"), "backwards": 1, "seconds": 0.5,
        "certified_radius": [0.2, None, 0.4, 0.0, None],
        "adversarial_radius": [0.1, 0.3, float("inf"), 0.2, None],
    })  # fmt: skip
    return rows.assign(**given)


def test_counts_rates_and_distances_are_of_the_images_attacked() -> None:
    told = summary(_rows())
    assert (told["images"], told["correct"], told["attacked"], told["successes"]) == (5, 4, 4, 2)
    assert told["success_rate"] == 0.5
    assert (told["low"], told["high"]) == pytest.approx((0.15, 0.85), abs=0.001)
    assert told["invalid"] == {"over budget": 1}
    assert (told["borderline"], told["abstained"]) == (1, 1)
    assert told["distances"]["l2"] == {"least": 0.5, "median": 1.0, "largest": 1.5}
    assert told["forwards"] == 25
    assert "radius" not in told


def test_radii_are_of_the_images_that_have_one() -> None:
    found = summary(_rows(kind="radius"))
    assert found["found"] == 3
    assert found["radius"] == pytest.approx({"least": 0.1, "median": 0.2, "largest": 0.3})
    proven = summary(_rows(kind="certify"))
    assert (proven["found"], proven["radius"]["median"]) == (2, pytest.approx(0.3))


def test_nothing_attacked_is_no_number() -> None:
    told = summary(_rows(correct=False))
    assert told["success_rate"] is told["low"] is told["forwards"] is None
    assert told["distances"] == {}

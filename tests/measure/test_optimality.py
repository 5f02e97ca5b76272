"""The optimality of an attack is the exact integral of its step curve."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bench.measure.optimality import local_optimality, trapezoid_optimality

NEVER = np.full(4, np.inf)
BEST = np.array([0.1, 0.2, 0.4, 0.8])


def area_by_rectangles(distances, farthest):
    """Return the area under accuracy against eps, step by step from 0 to `farthest`."""
    edges = np.unique(np.append(np.clip(distances, 0, farthest), [0, farthest]))
    return sum((distances > left).mean() * (right - left) for left, right in pairwise(edges))


def test_it_is_the_definition_with_areas_summed_step_by_step() -> None:
    rng = np.random.default_rng(0)
    attacks = rng.exponential(size=(5, 60))
    attacks[rng.random(attacks.shape) < 0.2] = np.inf
    attacks[:, 0] = np.inf  # an image that nobody breaks
    best = attacks.min(axis=0)
    farthest = best[np.isfinite(best)].max()
    best_area = area_by_rectangles(best, farthest)
    for distances in attacks:
        area = area_by_rectangles(distances, farthest)
        expected = 1 - (area - best_area) / (farthest - best_area)
        assert local_optimality(distances, best) == pytest.approx(expected)


def test_an_attack_that_never_succeeds_has_0_and_the_best_of_all_1() -> None:
    assert local_optimality(NEVER, BEST) == 0
    assert local_optimality(BEST, BEST) == 1
    assert local_optimality(BEST + 9, BEST) == 0


def test_by_hand() -> None:
    # Gains up to 0.8: 0.6 + 0 + 0.2 + 0 of 0.7 + 0.6 + 0.4 + 0.
    assert local_optimality(np.array([0.2, np.inf, 0.6, 0.8]), BEST) == pytest.approx(0.8 / 1.7)


@pytest.mark.parametrize("best", [NEVER, np.full(4, 0.3), np.array([])])
def test_where_nothing_is_compared_there_is_no_score(best) -> None:
    assert np.isnan(local_optimality(best, best))


def test_the_trapezoid_rewards_an_attack_that_never_succeeds() -> None:
    with_wrong = np.append(0.0, BEST)  # the first clean image is wrong
    never = np.append(0.0, NEVER)
    # The line from (0, 4/5) to (0.8, 0) leaves half of the area below the clean accuracy.
    joined = [0.05 * (4 + 3), 0.05 * (3 + 2), 0.1 * (2 + 1), 0.2 * 1]
    clean = 0.8 * 0.8
    expected = (clean - clean / 2) / (clean - sum(joined) / 5)
    assert trapezoid_optimality(never, with_wrong) == pytest.approx(expected)
    assert expected > 0.6
    assert trapezoid_optimality(with_wrong, with_wrong) == pytest.approx(1)


def test_the_trapezoid_has_no_score_where_no_attack_broke_some_image() -> None:
    best = np.array([0.1, np.inf])
    assert np.isnan(trapezoid_optimality(best, best))
    assert np.isnan(trapezoid_optimality(np.zeros(2), np.zeros(2)))

"""The median radius and the mode: planted distributions come back, with errors that cover them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.measure.steepest import median_radius, mode_radius

#: Distributions of radii, and where they are the densest.
PLANTED = {
    "gamma 3": (stats.gamma(3, scale=0.01), 0.02),
    "gamma 9": (stats.gamma(9, scale=0.01), 0.08),
    "logistic": (stats.logistic(0.03, 0.004), 0.03),
    "exponential": (stats.expon(scale=0.03), 0.0),
}


def drawn(name: str, n: int, seed: int) -> np.ndarray:
    found = PLANTED[name][0].rvs(n, random_state=np.random.default_rng(seed))
    return np.sort(np.clip(found, 1e-9, None))


@pytest.mark.parametrize("name", PLANTED)
def test_the_mode_is_found_again(name) -> None:
    spread = PLANTED[name][0].std()
    found = [mode_radius(drawn(name, 3000, seed)) for seed in range(12)]
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(PLANTED[name][1], abs=0.1 * spread)
    if name != "exponential":
        assert np.mean([one.error for one in found]) == pytest.approx(values.std(), rel=0.6)
        near = [abs(one.value - PLANTED[name][1]) < 1.96 * one.error for one in found]
        assert sum(near) >= 9


@pytest.mark.parametrize("name", PLANTED)
def test_the_median_is_found_again_and_its_error_covers_it(name) -> None:
    truth = PLANTED[name][0].median()
    found = [median_radius(drawn(name, 600, seed)) for seed in range(100)]
    errors = np.array([one.error for one in found])
    off = np.array([one.value for one in found]) - truth
    assert abs(off.mean()) < 0.3 * off.std()
    assert errors.mean() == pytest.approx(off.std(), rel=0.2)
    assert 90 <= (np.abs(off) < 1.96 * errors).sum() <= 99


def test_radii_below_the_critical_eps_of_a_fit_that_does_not_hold() -> None:
    """Of exponential radii the most labels flip at 0, where a fitted logistic is far from."""
    found = mode_radius(drawn("exponential", 2000, 0))
    assert found.value == 0.0


def test_labels_that_never_flip_have_no_mode_and_count_in_the_median() -> None:
    radii = drawn("gamma 9", 1000, 0)
    cut = np.where(radii > np.quantile(radii, 0.7), np.inf, radii)
    assert median_radius(cut) == median_radius(radii)
    assert mode_radius(cut).value == pytest.approx(mode_radius(radii).value, rel=0.05)
    most = np.where(radii > np.quantile(radii, 0.4), np.inf, radii)
    assert median_radius(most).value == np.inf
    assert np.isnan(median_radius(most).error)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_of_hardly_any_image_there_is_no_error(n) -> None:
    assert np.isnan(median_radius(np.full(n, 0.1)).error)


def test_steps_are_in_the_errors() -> None:
    """Of radii in steps many are alike, so that their order alone would know the median exactly."""
    step = 0.02
    radii = np.ceil(drawn("gamma 9", 2000, 0) / step) * step
    assert median_radius(radii).error == 0
    assert median_radius(radii, step).error == pytest.approx(step / np.sqrt(12))
    mode = mode_radius(radii, step)
    assert mode.value == pytest.approx(0.09, abs=step / 2)  # a step is counted at its end
    assert mode.error >= step / np.sqrt(12)


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([1e-6, 1e-3, 0.02, 0.021, 0.3, 1.0]), min_size=1, max_size=6),
    st.floats(1e-3, 1e3),
)
def test_whatever_the_radii_are_the_unit_does_not_matter(kinds, scale) -> None:
    radii = np.sort(np.random.default_rng(0).choice(kinds, 500))
    mode, scaled = mode_radius(radii), mode_radius(scale * radii)
    assert scaled.value == pytest.approx(scale * mode.value, rel=0.02, abs=0.02 * scale)
    assert 0 <= mode.value <= 1.01 * radii[-1]

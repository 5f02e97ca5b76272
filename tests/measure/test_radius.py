"""The critical eps: planted curves come back, its error covers the truth, and refusals are said."""

from __future__ import annotations

import dataclasses

import build
import numpy as np
import pytest
from build import cell
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.measure import radius
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.measure.radius import (
    bootstrap_error,
    critical_eps,
    fit_accuracy,
    measured_radii,
    shape_p,
)


def quantile(share, critical: float, b: float, nu: float):
    """Return the eps up to which this share of images flips under a generalised logistic."""
    spread = np.log(np.expm1(-nu * np.log(share))) - np.log(nu)
    return np.maximum(critical - spread / b, 1e-9)


def exact(n: int, critical: float, b: float, nu: float):
    return quantile((np.arange(n) + 0.5) / n, critical, b, nu)


def drawn(n: int, critical: float, b: float, nu: float, seed: int):
    shares = np.random.default_rng(seed).random(n)
    return np.sort(quantile(shares, critical, b, nu))


def results(*radii, n: int = 600, **more):
    """Return the results of a model for each array of radii."""
    cells = [
        cell(f"m{turn}", "fgsm-radius", None, range(n), radii=one, **more)
        for turn, one in enumerate(radii)
    ]
    return build.results(cells, images=n)


@settings(max_examples=60)
@given(
    critical=st.floats(1e-3, 0.5), steepness=st.floats(2, 60), nu=st.floats(0.05, 12),
    n=st.integers(500, 3000),
)  # fmt: skip
def test_a_planted_curve_is_found_again(critical, steepness, nu, n) -> None:
    b = steepness / critical
    # A curve that has fallen already at 0 is none of radii.
    assume((1 + nu * np.exp(steepness)) ** (-1 / nu) < 1e-4)
    fit = fit_accuracy(exact(n, critical, b, nu))
    assert fit.critical == pytest.approx(critical, rel=5e-3)
    assert fit.r2 > 0.9999
    eps = np.linspace(0, 2 * critical, 9)
    truth = 1 - (1 + nu * np.exp(-b * (eps - critical))) ** (-1 / nu)
    np.testing.assert_allclose(fit.accuracy(eps), truth, atol=5e-3)


def test_the_critical_eps_is_where_the_curve_is_steepest() -> None:
    fit = fit_accuracy(exact(1000, 0.03, 200, 3.0))
    eps = np.linspace(0, 0.1, 10_001)
    steepest = eps[np.argmin(np.gradient(fit.accuracy(eps), eps))]
    assert fit.critical == pytest.approx(steepest, abs=2e-5)


def test_five_parameters_are_three() -> None:
    """The formula with Q, B, D, M is the same curve with the same inflection, D/B (M B + log(Q/nu))."""
    q, b, d, m, nu = 3.0, 4.0, 0.01, 1.5, 0.7
    eps = np.linspace(0, 0.1, 50)
    five = 1 - (1 + q * np.exp(-b * (eps / d - m))) ** (-1 / nu)
    critical = d / b * (m * b + np.log(q / nu))
    three = radius.Fit(critical=critical, b=b / d, nu=nu, r2=1.0).accuracy(eps)
    np.testing.assert_allclose(three, five, atol=1e-12)


@settings(max_examples=20)
@given(scale=st.floats(1e-4, 100), seed=st.integers(0, 100))
def test_the_unit_does_not_matter(scale, seed) -> None:
    radii = drawn(500, 0.02, 300, 1.0, seed)
    one, other = fit_accuracy(radii), fit_accuracy(scale * radii)
    assert other.critical == pytest.approx(scale * one.critical, rel=1e-4)
    assert other.r2 == pytest.approx(one.r2, abs=1e-6)


def test_images_that_never_flip_are_counted_and_do_not_move_the_rest() -> None:
    """Where the curve is cut off at the largest eps tried, what is below it is fitted alone."""
    whole = exact(1000, 0.05, 150, 1.0)
    cut = np.where(whole > quantile(0.8, 0.05, 150, 1.0), np.inf, whole)
    assert fit_accuracy(cut).critical == pytest.approx(0.05, rel=1e-3)
    found = critical_eps(results(cut, n=1000)).iloc[0]
    assert (found["n"], found["censored"], found["refused"]) == (1000, 200, "")
    assert found["critical_eps"] == pytest.approx(0.05, rel=1e-3)


def test_the_error_covers_the_truth(monkeypatch) -> None:
    """In 30 samples the truth lies within 1.96 errors about 28 times, and they vary as they say."""
    monkeypatch.setattr(radius, "_REPLICATES", 25)
    critical, errors = [], []
    for seed in range(30):
        radii = drawn(500, 0.02, 400, 0.6, seed)
        fit = fit_accuracy(radii)
        critical.append(fit.critical)
        errors.append(bootstrap_error(radii, fit))
    covered = np.abs(np.array(critical) - 0.02) < 1.96 * np.array(errors)
    assert covered.sum() >= 25
    assert np.mean(errors) == pytest.approx(np.std(critical), rel=0.3)


def test_the_error_falls_with_the_number_of_images_and_is_the_same_each_time() -> None:
    few, many = (drawn(n, 0.02, 400, 0.6, 1) for n in (500, 4500))
    errors = [bootstrap_error(radii, fit_accuracy(radii)) for radii in (few, many, many)]
    assert 2 < errors[0] / errors[1] < 4.5
    assert errors[1] == errors[2]


def test_images_count_that_the_model_gets_right_and_is_sure_of() -> None:
    radii = drawn(700, 0.02, 400, 0.6, 0)
    made = build.results(
        [cell("m", "fgsm-radius", None, range(700), radii=radii, clean_confidence={1: 0.79, 2: 0.8, 3: 0.1})],
        wrong={"m": [5, 6]}, images=700,
    )  # fmt: skip
    (counted,) = measured_radii(made).values()
    np.testing.assert_array_equal(counted, np.delete(radii, [1, 3, 5, 6]))
    (every,) = measured_radii(made, 0.6).values()
    assert len(every) == 697
    found = critical_eps(made, 0.6).iloc[0]
    assert (found["n"], found["confidence"]) == (697, 0.6)


def test_a_row_a_cell_that_measures_radii() -> None:
    radii = drawn(600, 0.02, 400, 0.6, 0)
    words = {"scan": 50, "max_eps": "0.5"}
    made = build.results(
        [
            cell("m", "deepfool", None, range(600)),
            cell("m", "fgsm-radius", None, range(600), radii=radii, parameters=words),
            cell("n", "fgsm-radius", None, [], status="failed"),
        ],
        images=600,
    )
    (found,) = critical_eps(made).to_dict("records")
    assert (found["model"], found["attack"]) == ("m", "fgsm-radius")
    assert found["parameters"] == "max_eps 0.5, scan 50"
    assert found["median"] == radii[300]
    bare = dataclasses.replace(made, rows=made.rows[made.rows["kind"] == "attack"])
    assert critical_eps(bare).empty
    assert list(critical_eps(bare)) == list(critical_eps(made))


GOOD = exact(600, 0.02, 400, 0.6)
REFUSED = {
    "499 images, 500 are needed": exact(499, 0.02, 400, 0.6),
    "0 images, 500 are needed": np.empty(0),
    "320 of 600 images never flipped": np.where(np.arange(600) < 280, GOOD, np.inf),
    "R^2 0.": np.repeat([0.01, 0.2], 300),
    # It is steepest where 81 % have flipped; 70 % do.
    "no inflection within the radii measured": np.where(
        np.arange(600) < 420, exact(600, 0.05, 1200, 12.0), np.inf
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refusals_are_said_and_leave_no_number(why) -> None:
    radii = REFUSED[why]
    unsure = dict.fromkeys(range(len(radii), 600), 0.5)
    padded = np.pad(radii, (0, len(unsure)), constant_values=0.02)
    (found,) = critical_eps(results(padded, clean_confidence=unsure)).to_dict("records")
    assert why in found["refused"]
    assert np.isnan([found["critical_eps"], found["error"]]).all()
    assert np.isnan(found["r2"]) == ("images" in found["refused"])


def test_radii_of_the_surest_images_alone_are_not_those_that_count() -> None:
    far = dict.fromkeys(range(600), 0.5)
    for least, counts in (("0.8", True), ("0.85", False)):
        words = {"least_confidence": least}
        made = build.results(
            [
                cell(
                    "m", "fgsm-radius", None, range(600), radii=GOOD, parameters=words, distance=far
                ),
                cell("m", "pgd", "0.1", [0, 1, 2]),
            ],
            images=600,
        )
        found = critical_eps(made).iloc[0]
        assert (found["critical_eps"] > 0) == counts
        assert counts or "count from confidence 0.8, 0.85 was asked" in found["refused"]
        # What was tried on some of the images does not show that others are robust.
        assert headline(Outcomes(made))["robust_accuracy"].tolist() == [pytest.approx(597 / 600)]


@pytest.mark.slow
@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([1e-6, 1e-3, 0.02, 0.021, 0.3, 1.0, np.inf]), min_size=1, max_size=6),
    st.integers(0, 10),
)
def test_whatever_the_radii_are_there_is_a_figure_or_a_refusal(kinds, seed) -> None:
    radii = np.random.default_rng(seed).choice(kinds, 500)
    (found,) = critical_eps(results(radii, n=500)).to_dict("records")
    if found["refused"]:
        assert np.isnan(found["critical_eps"])
    else:
        assert np.isfinite([found["critical_eps"], found["error"], found["r2"]]).all()
        assert found["r2"] >= 0.95


@pytest.mark.parametrize(("b", "nu"), [(250, 0.001), (250, 0.3), (300, 1.0), (2700, 6.0)])
@pytest.mark.parametrize("step", [0.0, 0.001])
def test_the_shape_is_rarely_rejected_where_it_is_the_true_one(b, nu, step) -> None:
    """At level 0.01 one in a hundred is; of 15 samples more than two are one run in a thousand."""
    rejected = 0
    for seed in range(15):
        radii = drawn(600, 0.02, b, nu, seed)
        if step:
            radii = np.ceil(radii / step) * step
        rejected += shape_p(radii, fit_accuracy(radii), step) <= radius.LEVEL
    assert rejected <= 2


OTHER_SHAPES = {
    "uniform": stats.uniform(0, 0.05),
    "uniform, away from 0": stats.uniform(0.01, 0.05),
    "exponential": stats.expon(scale=0.03),
}


@pytest.mark.parametrize("shape", OTHER_SHAPES)
def test_other_shapes_are_refused(shape) -> None:
    """R^2 is above 0.95 for all, so that it tells nothing of the shape."""
    for seed in range(3):
        radii = OTHER_SHAPES[shape].rvs(600, random_state=np.random.default_rng(seed))
        (found,) = critical_eps(results(np.clip(radii, 1e-6, None))).to_dict("records")
        assert found["r2"] > 0.97
        assert (found["refused"], found["shape_p"]) == ("shape rejected, p = 0.01", 0.01)
        assert np.isnan(found["critical_eps"])
        # What presumes no shape is there.
        assert found["median"] == pytest.approx(OTHER_SHAPES[shape].median(), rel=0.25)
        assert np.isfinite([found["median_error"], found["mode"], found["mode_error"]]).all()


def test_a_fit_that_is_nowhere_near_is_rejected_too() -> None:
    rng = np.random.default_rng(0)
    humps = np.where(rng.random(600) < 0.5, 0.02, 0.06) + 0.004 * rng.standard_normal(600)
    radii = np.sort(np.clip(humps, 1e-6, None))
    assert shape_p(radii, fit_accuracy(radii)) == 0.01


def test_nu_at_the_end_of_its_range_is_said() -> None:
    """Of Gumbel radii nu goes to 0, beyond what data can tell."""
    gumbel = 0.02 - 0.005 * np.log(-np.log((np.arange(600) + 0.5) / 600))
    (found,) = critical_eps(results(np.clip(gumbel, 1e-6, None))).to_dict("records")
    assert (found["nu_bound"], found["refused"]) == ("lowest", "")
    (inside,) = critical_eps(results(GOOD)).to_dict("records")
    assert inside["nu_bound"] == ""
    early = 0.08 - 0.01 * stats.expon.ppf((np.arange(600) + 0.5) / 600)[::-1]
    assert fit_accuracy(early).bound == "highest"


def test_the_figures_stand_beside_the_critical_eps() -> None:
    (found,) = critical_eps(results(GOOD)).to_dict("records")
    assert found["critical_eps"] == pytest.approx(0.02, rel=1e-2)
    assert found["mode"] == pytest.approx(0.02, abs=2 * found["mode_error"])
    assert found["median"] == pytest.approx(float(np.median(GOOD)), abs=found["median_error"])
    assert found["shape_p"] > 0.1

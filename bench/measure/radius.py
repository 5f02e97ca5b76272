"""Critical eps: from the adversarial radii of a model to the eps where its accuracy falls the fastest.

The critical eps R is read off a fit. The accuracy of the images that count, as a function of eps, is
fitted by a generalised logistic

    A(eps) = 1 - (1 + nu exp(-b (eps - R)))^(-1/nu)

whose inflection, the point of steepest fall, is R. The same curve is often written
1 - (1 + Q exp(-B (eps/D - M)))^(-1/nu), with five parameters, of which data determine only three:
b = B/D, nu, and Q exp(B M) = nu exp(b R). With R as a parameter, none of the three is a difference of
large numbers.

R is where accuracy falls the fastest only if accuracy has that shape, so the shape is tested. Two more
figures assume no shape: the median radius and the mode (`bench.measure.steepest`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import least_squares
from scipy.special import expit

from bench.measure.steepest import median_radius, mode_radius
from bench.spec import measuring, number
from bench.store.results import Results

#: An image counts if the model is right about it with at least this confidence.
CONFIDENCE = 0.8

#: There is no R with fewer images, a lower R^2, or a larger share of images that were never broken.
FEWEST = 500
LEAST_R2 = 0.95
MOST_CENSORED = 0.5
#: Nor if the p of the test of the shape is at most this. The more images there are, the smaller a departure
#: from the logistic it rejects; claims then use the median radius, and say so.
LEVEL = 0.01

_POINTS = 200
_REPLICATES = 200
#: How many samples the test of the shape draws, and how many that fit as badly as the data end it early.
_SIMULATED, _ENOUGH = 99, 10
_SEED = 0
#: Values of nu that the fit starts from, and bounds of (R, log b, log nu); beyond these the curve
#: hardly changes.
_STARTS = (0.1, 1.0, 10.0)
_LOW, _HIGH = (-np.inf, -7.0, -7.0), (np.inf, 10.0, 7.0)
#: nu is at a bound if log nu is this close to it.
_AT_BOUND = 0.05

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A generalised logistic; the formula is at the head of this file.

    Attributes:
        critical: R, the eps of the inflection, in the unit of the radii.
        b: how steep it is, in one over that unit.
        nu: how asymmetric it is; 1 is the ordinary logistic.
        r2: the share of the variance of the measured accuracy that it explains.
    """

    critical: float
    b: float
    nu: float
    r2: float

    @property
    def bound(self) -> str:
        """Which bound nu is at, `lowest` or `highest`; empty if it is at neither."""
        away = np.log(self.nu) - _LOW[2], _HIGH[2] - np.log(self.nu)
        return "lowest" if away[0] < _AT_BOUND else "highest" if away[1] < _AT_BOUND else ""

    def accuracy(self, eps: Array) -> Array:
        """Return the share of images that are robust at eps."""
        return 1 - _flipped(eps, self.critical, self.b, self.nu)

    def radius(self, share: Array) -> Array:
        """Return the eps at which these shares of images are broken; negative for very small shares."""
        power = -self.nu * np.log(share)
        # log expm1(power) without overflow
        spread = power + np.log(-np.expm1(-power)) - np.log(self.nu)
        eps: Array = self.critical - spread / self.b
        return eps


def measured_radii(results: Results, confidence: float = CONFIDENCE) -> dict[str, Array]:
    """Return the radii of the images that count, ascending, by done cell that measures radii.

    An image counts if the model gets it right with at least this confidence (a probability). The
    radius is infinite if the label never changed.
    """
    rows = results.rows.loc[
        results.rows["kind"].isin(measuring("adversarial_radius")),
        ["cell", "correct", "clean_confidence", "adversarial_radius"],
    ]
    counts = (rows["correct"] & (rows["clean_confidence"] >= confidence)).to_numpy()
    radii = rows["adversarial_radius"].to_numpy(dtype=float)
    return {
        str(cell): np.sort(radii[at][counts[at]])
        for cell, at in rows.groupby("cell", sort=False).indices.items()
    }


def critical_eps(results: Results, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return the critical eps of each model under each attack that measures radii, a row a done cell.

    Args:
        results: the cells of a suite's last run.
        confidence: which images count; see `measured_radii`.

    Returns:
        `cell, model, family, attack, norm, toolkit, surface, parameters` (text), `confidence`; `n` (images
        that count), `censored` (those of them whose label never changed); `median` (of their radii;
        infinite if most never changed) and `mode`, each with its error (`median_error,
        mode_error`; see `bench.measure.steepest`); `critical_eps`, its `error` (see
        `bootstrap_error`), and of the fit `r2, b, nu, nu_bound` (see `Fit.bound`) and `shape_p` (see
        `shape_p`); `refused` (why there is no critical eps; empty if there is one). Figures that
        are not known then are NaN. In the plan's order.
    """
    by_cell = measured_radii(results, confidence)
    named = ["cell", "model", "family", "attack", "norm", "toolkit", "surface"]
    figures = []
    for cell in results.cells[results.cells["cell"].isin(by_cell)].to_dict("records"):
        parameters = ", ".join(
            f"{name} {value}" for name, value in sorted(cell["parameters"].items())
        )
        row = {name: cell[name] for name in named}
        row |= {"parameters": parameters, "confidence": confidence}
        attacked_from = number(cell["parameters"].get("least_confidence", 0), "least_confidence")
        if attacked_from > confidence:
            why = (
                f"images count from confidence {confidence:g}, {attacked_from:g} was asked of them"
            )
            figures.append(row | {"refused": why})
        else:
            step = number(cell["parameters"].get("step_size", 0), "step_size")
            figures.append(row | _figures(by_cell[str(cell["cell"])], step))
    return pd.DataFrame(figures, columns=[*named, "parameters", "confidence", *_FIGURES])


_FIGURES = (
    "n", "censored", "median", "median_error", "mode", "mode_error", "critical_eps", "error", "r2",
    "b", "nu", "nu_bound", "shape_p", "refused",
)  # fmt: skip


def _figures(radii: Array, step: float) -> dict[str, Any]:
    """Return the figures of a cell from its radii, ascending; `step` as in `shape_p`."""
    flipped = radii[np.isfinite(radii)]
    n, censored = len(radii), len(radii) - len(flipped)
    figures: dict[str, Any] = dict.fromkeys(_FIGURES, float("nan"))
    median = median_radius(radii, step)
    figures |= {"n": n, "censored": censored, "nu_bound": ""}
    figures |= {"median": median.value, "median_error": median.error}
    if n < FEWEST:
        return figures | {"refused": f"{n} images, {FEWEST} are needed"}
    if censored > MOST_CENSORED * n:
        return figures | {"refused": f"{censored} of {n} images never flipped"}
    mode = mode_radius(radii, step)
    figures |= {"mode": mode.value, "mode_error": mode.error}
    fit = fit_accuracy(radii)
    figures |= {"r2": fit.r2, "b": fit.b, "nu": fit.nu, "nu_bound": fit.bound}
    if fit.r2 < LEAST_R2:
        return figures | {"refused": f"R^2 {fit.r2:.3f}, {LEAST_R2} is needed"}
    if not flipped[0] <= fit.critical <= flipped[-1]:
        return figures | {"refused": "no inflection within the radii measured"}
    p = shape_p(radii, fit, step)
    figures |= {"shape_p": p}
    if p <= LEVEL:
        return figures | {"refused": f"shape rejected, p = {p:.2f}"}
    error = bootstrap_error(radii, fit)
    return figures | {"critical_eps": fit.critical, "error": error, "refused": ""}


def fit_accuracy(radii: Array) -> Fit:
    """Return the generalised logistic that fits the measured accuracy best.

    Least squares over the eps at which the accuracy passes 200 equally spaced levels. So every image
    has the same weight (this is the Cramer-von Mises distance), and no grid of eps has to be chosen.
    Levels that the accuracy never falls to, because some images were never broken, are left out.

    Args:
        radii: (n,), ascending, infinite where the label never changed; some must be finite.
    """
    eps, level = _passed(radii)
    unit = float(np.median(eps))
    fits = [_fitted(eps / unit, level, _start(eps / unit, level, nu)) for nu in _STARTS]
    best = min(fits, key=lambda fit: float(fit.cost))
    r2 = 1 - 2 * float(best.cost) / float(((level - level.mean()) ** 2).sum())
    place, steep, near = best.x
    return Fit(
        critical=float(place) * unit,
        b=float(np.exp(steep)) / unit,
        nu=float(np.exp(near)),
        r2=r2,
    )


def bootstrap_error(radii: Array, fit: Fit) -> float:
    """Return the standard error of the critical eps over samples of images.

    Half the width of the middle 68.3 % of 200 fits, each to as many images drawn with replacement
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3). The standard
    deviation would be spoilt by a single failed fit. The draws are the same in every call.

    Args:
        radii: (n,), ascending, infinite where the label never changed.
        fit: of these radii; the fits to the replicates start from it.
    """
    generator = np.random.default_rng(_SEED)
    unit = fit.critical
    begin = np.array([1.0, np.log(fit.b * unit), np.log(fit.nu)])
    replicates = []
    for _ in range(_REPLICATES):
        eps, level = _passed(np.sort(generator.choice(radii, len(radii))))
        replicates.append(_fitted(eps / unit, level, begin).x[0] * unit)
    low, high = np.quantile(replicates, (0.1587, 0.8413))
    return float(high - low) / 2


def shape_p(radii: Array, fit: Fit, step: float = 0.0) -> float:
    """Return the p-value of the hypothesis that the radii are distributed as the fitted curve says.

    A parametric bootstrap of the Cramer-von Mises distance (Stute, Gonzalez Manteiga and Presedo
    Quindimil, Metrika 40, 1993): as many radii are drawn from the fitted curve, rounded to the same
    steps, censored at the same share, and fitted again. It ends after 99 samples, or at the tenth that
    fits as badly as the data (Besag and Clifford, Biometrika 78, 1991). The samples are the same in
    every call.

    Args:
        radii: (n,), ascending, infinite where the label never changed.
        fit: of these radii.
        step: the step in which they were measured, 0 if they are exact.
    """
    generator = np.random.default_rng(_SEED)
    eps, level = _passed(radii)
    unit, share = float(np.median(eps)), float(np.isfinite(radii).mean())
    begin = np.array([fit.critical / unit, np.log(fit.b * unit), np.log(fit.nu)])
    measured = float(((1 - fit.accuracy(eps) - level) ** 2).sum())
    worse = 0
    for turn in range(1, _SIMULATED + 1):
        drawn = np.sort(generator.random(len(radii)))
        simulated = np.maximum(fit.radius(drawn), 0)
        if step:
            simulated = np.ceil(simulated / step) * step
        simulated[drawn > share] = np.inf
        eps, level = _passed(simulated)
        worse += 2 * float(_fitted(eps / unit, level, begin).cost) >= measured
        if worse == _ENOUGH:
            return worse / turn
    return (worse + 1) / (_SIMULATED + 1)


def _passed(radii: Array) -> tuple[Array, Array]:
    """Return the eps at which the share of broken images passes each level, and the levels."""
    level = (np.arange(_POINTS) + 0.5) / _POINTS
    eps = radii[(level * len(radii)).astype(int)]
    return eps[np.isfinite(eps)], level[np.isfinite(eps)]


def _start(eps: Array, level: Array, nu: float) -> Array:
    """Return the parameters of the curve of this nu through two of the points."""
    low, high = len(eps) // 4, 3 * len(eps) // 4
    turn = np.log(nu) - np.log(np.expm1(-nu * np.log(level[[low, high]])))
    b = (turn[1] - turn[0]) / max(eps[high] - eps[low], 1e-3)
    return np.array([eps[low] - turn[0] / b, np.log(b), np.log(nu)])


def _fitted(eps: Array, level: Array, begin: Array) -> Any:
    """Return scipy's result for (R, log b, log nu), in units in which the radii are about 1."""

    def miss(at: Array) -> Array:
        return _flipped(eps, at[0], np.exp(at[1]), np.exp(at[2])) - level

    def slope(at: Array) -> Array:
        b, nu = np.exp(at[1:])
        u = b * (eps - at[0])
        share, part = _flipped(eps, at[0], b, nu), expit(at[2] - u)
        by_u = share * part / nu
        by_nu = share * (np.logaddexp(0, at[2] - u) - part) / nu
        return np.column_stack([-b * by_u, u * by_u, by_nu])

    return least_squares(miss, np.clip(begin, _LOW, _HIGH), slope, bounds=(_LOW, _HIGH))


def _flipped(eps: Array, critical: float, b: float, nu: float) -> Array:
    """Return (1 + nu exp(-b (eps - critical)))^(-1/nu)."""
    share: Array = np.exp(-np.logaddexp(0, np.log(nu) - b * (eps - critical)) / nu)
    return share

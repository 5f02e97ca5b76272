"""Worst-case accuracy against eps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.threats import SAME_RADIUS, data_sets, same_radius, threats, threats_by_data

_STEPS = 50  # of the grid on which a curve of minimal-norm attacks is drawn


def curve(outcomes: Outcomes) -> pd.DataFrame:
    """Return worst-case accuracy against eps, for each model and norm.

    At each eps the share of images that nothing broke within eps, out of the images that all valid
    cells of the model and norm have: a step function, to be drawn with its steps to the right. The grid
    is 0 (the clean accuracy) and every eps at which the run attacks models of this data set. A
    minimal-norm attack measures every eps at once, so with one the grid also has 50 equal steps up to
    the largest of these, or up to the largest distance if there is none. The accuracy is NaN at an eps
    where only failed attacks were planned, or where too many images have no valid attack.

    Returns:
        `model, norm, eps, accuracy, low, high` (95 % Wilson), `n`; eps ascending.
    """
    by_data, data = threats_by_data(outcomes.results, outcomes.cells), data_sets(outcomes.results)
    points = []
    for (model, norm), cells in outcomes.cells.groupby(["model", "norm"], sort=False):
        run_threats = by_data[data[str(model)]]
        radii = run_threats.loc[run_threats["norm"] == norm, "radius"]
        for point in points_of(outcomes, cells, sorted(radii)):
            points.append({"model": model, "norm": norm, **point})
    return pd.DataFrame(points, columns=["model", "norm", "eps", "accuracy", "low", "high", "n"])


def surface_curves(outcomes: Outcomes) -> pd.DataFrame:
    """Return accuracy against eps for each surface alone, under all attacks through that surface.

    As `curve`, at the eps of the attacks through that surface.

    Returns:
        `model, norm, surface, eps, accuracy, low, high, n`; eps ascending.
    """
    points = []
    of_surface = outcomes.cells.groupby(["model", "norm", "surface"], sort=False)
    for (model, norm, surface), cells in of_surface:
        radii = sorted(threats(cells[cells["kind"] == "fixed"])["radius"])
        for point in points_of(outcomes, cells, radii):
            points.append({"model": model, "norm": norm, "surface": surface, **point})
    names = ["model", "norm", "surface", "eps", "accuracy", "low", "high", "n"]
    return pd.DataFrame(points, columns=names)


def points_of(
    outcomes: Outcomes,
    cells: pd.DataFrame,
    radii: list[float],
    images: pd.Index[Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the points of a curve over some cells of one model and norm.

    Args:
        outcomes: of the run.
        cells: rows of `Outcomes.cells`.
        radii: where points are wanted, ascending.
        images: those that count; None for all that each valid cell has.

    Returns:
        `eps, accuracy, low, high` (95 % Wilson) and `n` of each point, eps ascending; none without a valid cell
        or an image.
    """
    valid = cells[cells["shows_robust"] & (cells["flag"] == "")]
    group = outcomes.group(cells["cell"])
    group = group if images is None else group.only(images)
    if valid.empty or not group.attacked_by_all(valid["cell"]).any():
        return []
    minimal = valid["kind"] == "minimal"
    grid = {0.0, *radii}
    if minimal.any():
        least = group.least[np.isfinite(group.least)]
        largest = max(radii) if radii else max([0.0, *least])
        grid |= set(np.linspace(0.0, largest, _STEPS + 1).tolist())
    points = []
    for eps in sorted(grid):
        # An image that withstands an attack of a larger radius withstands it here.
        showing = valid[minimal | (valid["radius"] >= eps * (1 - SAME_RADIUS))]
        point = {"eps": eps, **group.within(eps, showing["cell"], valid["cell"]).figures()}
        attacked = minimal.any() or eps == 0 or same_radius(valid["radius"].dropna(), eps).any()
        if not attacked:
            point |= dict.fromkeys(("accuracy", "low", "high"), float("nan"))
        points.append(point)
    return points

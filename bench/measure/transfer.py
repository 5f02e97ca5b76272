"""How often a perturbation fitted on one model fools another."""

from __future__ import annotations

import pandas as pd

from bench.spec import ITSELF
from bench.store.results import Results


def transfer(results: Results, rates: pd.DataFrame) -> pd.DataFrame:
    """Return how often the universal perturbations of a run fool each model, a row a cell.

    Args:
        results: the cells of a suite's last run.
        rates: of `bench.measure.attack_rates.attack_rates`.

    Returns:
        `cell, fitted_on, model, attack, toolkit, norm, eps_text`; `attacked` (images that the model
        gets right), `fooling` (the share of them that the perturbation fools) with `low, high` (95 %
        Wilson); and about the fit, null if the cell is not done: `fit_images` (that the model it was
        fitted on gets right), `fit_fooling` (the share of them that it fools), `passes, forwards,
        backwards, seconds` (in all). Empty without such cells.
    """
    parameters = dict(zip(results.cells["cell"], results.cells["parameters"], strict=True))
    fitted = [cell for cell in parameters if "fitted_on" in parameters[cell]]
    cells = rates[rates["cell"].isin(fitted)]
    fitted_on = [
        model if parameters[cell]["fitted_on"] == ITSELF else parameters[cell]["fitted_on"]
        for cell, model in zip(cells["cell"], cells["model"], strict=True)
    ]
    table = cells[["cell", "model", "attack", "toolkit", "norm", "eps_text", "attacked"]].copy()
    table.insert(1, "fitted_on", pd.Series(fitted_on, index=table.index, dtype="str"))
    table["fooling"] = cells["success_rate"]
    table[["low", "high"]] = cells[["low", "high"]]
    facts = [results.fit(cell) or {} for cell in cells["cell"]]
    for column, fact in {
        "fit_images": "images", "fit_fooling": "fooling", "passes": "passes",
        "forwards": "forwards", "backwards": "backwards", "seconds": "seconds",
    }.items():  # fmt: skip
        table[column] = pd.array([of_cell.get(fact) for of_cell in facts], dtype="Float64")
    return table.reset_index(drop=True)

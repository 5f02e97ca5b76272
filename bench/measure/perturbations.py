"""How large and how visible perturbations are, and what the clip to [0, 1] takes from them.

With r = x' - x of the image that was tried, whether it fooled the model or not, over the N images attacked:

    Delta_p   = 1/N sum ||r||_p
    rho_p     = 1/N sum ||r||_p / ||x||_p                       p = 2 or infinity

rho is the relative robustness of Moosavi-Dezfooli et al., 'DeepFool', CVPR 2016, eq. 15, of an attack that
looks for the least perturbation. Some studies divide by ||x - m||_p with m the channel means of the data
set, which is about half of ||x||_p: rho is then about twice as large. Both are given.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.statistics import wilson
from bench.spec import eps_text
from bench.store.columns import attacked

_ORDERS = ("l2", "linf")
#: Column of the rows to that of its mean over the images attacked.
_MEANS = {
    "iterations": "iterations", "seconds": "seconds", "adv_confidence": "confidence_tried",
    **{order: f"delta_{order}" for order in _ORDERS},
    **{f"unclipped_{order}": f"unclipped_delta_{order}" for order in _ORDERS},
}  # fmt: skip


def perturbations(outcomes: Outcomes) -> pd.DataFrame:
    """Return how large the perturbations of each cell are, a row a done cell whose rows say so.

    Cells of older versions, whose rows lack the size of the clean image, are left out.

    Returns:
        `cell, model, family, attack, norm, eps_text` (`minimal` for an attack without eps), `toolkit,
        surface`; `attacked` (images); `fooling` (the share of them on which the goal was reached) with
        `low, high` (95 % Wilson);
        `confidence_fooled` and `confidence_tried` (means over the images fooled, and over all attacked);
        `delta_*` and `rho_*` for l2 and linf, as at the head of this file, `rho_centred_*` relative to
        ||x - m|| (null where the means of the data set are not known);
        `median_pixels` and `median_values` (medians of the shares of pixels, and of the values of
        their channels, that differ); `iterations, seconds` (means over the images attacked);
        of the images before they were clipped to [0, 1], where the attack gives them:
        `unclipped_fooling` (share with another label than the true one), `unclipped_delta_*`,
        `unclipped_rho_*, unclipped_rho_centred_*`; and by what share of itself the clip lowers a figure:
        `fooling_reduction` and `delta_reduction_*`, (unclipped - clipped) / unclipped. Else null.
    """
    rows, cells = outcomes.results.rows, outcomes.cells
    tried = rows[attacked(rows) & rows["clean_l2"].notna() & rows["cell"].isin(cells["cell"])]
    named = ["cell", "model", "family", "attack", "norm", "toolkit", "surface"]
    table = cells[named].copy()
    table.insert(5, "eps_text", cells["eps"].fillna(eps_text(None)))
    figures = _figures(tried)
    return table.merge(figures, left_on="cell", right_index=True).reset_index(drop=True)


def _figures(tried: pd.DataFrame) -> pd.DataFrame:
    """Return the figures of each cell, by cell, from the rows of the images attacked."""
    numbers = tried.astype(dict.fromkeys(("iterations", "unclipped_label"), "float64"))
    changed = (numbers["unclipped_label"] != numbers["label"]).astype(float)
    numbers = numbers.assign(
        fooled=numbers["success"].astype(float),
        sure_fooled=numbers["adv_confidence"].where(numbers["success"]),
        unclipped_fooled=changed.where(numbers["unclipped_label"].notna()),
    )
    relative = {
        f"{before}rho_{kind}{order}": numbers[f"{before}{order}"] / _size(numbers, f"{of}_{order}")
        for before in ("", "unclipped_")
        for kind, of in (("", "clean"), ("centred_", "centred"))
        for order in _ORDERS
    }
    of_cell = numbers.assign(**relative).groupby("cell", sort=False)
    means = of_cell[[*_MEANS, *relative, "fooled", "sure_fooled", "unclipped_fooled"]].mean()
    figures = means.rename(columns=_MEANS | {
        "fooled": "fooling", "sure_fooled": "confidence_fooled", "unclipped_fooled": "unclipped_fooling",
    })  # fmt: skip
    medians = of_cell[["changed_pixels", "changed_values"]].median()
    counts, hits = of_cell.size(), of_cell["success"].sum()
    bounds = [wilson(int(hit), int(n)) for hit, n in zip(hits, counts, strict=True)]
    figures = figures.assign(
        attacked=counts,
        low=[low for low, _ in bounds],
        high=[high for _, high in bounds],
        median_pixels=medians["changed_pixels"],
        median_values=medians["changed_values"],
        fooling_reduction=_reduction(figures["unclipped_fooling"], figures["fooling"]),
        **{
            f"delta_reduction_{order}": _reduction(
                figures[f"unclipped_delta_{order}"], figures[f"delta_{order}"]
            )
            for order in _ORDERS
        },
    )
    return figures[list(FIGURES)]


def _size(numbers: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return the size of each clean image; NaN for one that is zero, to which nothing is relative."""
    size = numbers[name].astype("float64")
    return size.where(size > 0)


def _reduction(before: pd.Series[float], after: pd.Series[float]) -> pd.Series[float]:
    return (before - after) / before.where(before > 0, np.nan)


_RELATIVE = tuple(
    f"{before}{kind}_{order}"
    for before in ("", "unclipped_")
    for kind in ("delta", "rho", "rho_centred")
    for order in _ORDERS
)
#: The figures of a cell, in order.
FIGURES = (
    "attacked", "fooling", "low", "high", "confidence_fooled", "confidence_tried",
    *_RELATIVE[:6], "median_pixels", "median_values", "iterations", "seconds",
    "unclipped_fooling", *_RELATIVE[6:], "fooling_reduction", "delta_reduction_l2",
    "delta_reduction_linf",
)  # fmt: skip

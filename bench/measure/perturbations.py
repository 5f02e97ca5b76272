"""How large perturbations are, and how much the clip to [0, 1] changes them.

With r = x' - x for the image tried, whether or not it fooled the model, over the N images attacked:

    Delta_p   = 1/N sum ||r||_p
    rho_p     = 1/N sum ||r||_p / ||x||_p                       p = 2 or infinity

For an attack that looks for the smallest perturbation, rho is the relative robustness of Moosavi-Dezfooli
et al., 'DeepFool', CVPR 2016, eq. 15. Some studies divide by ||x - m||_p instead, where m are the channel
means of the data set. That norm is about half of ||x||_p, so their rho is about twice as large. Both are given.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.statistics import wilson
from bench.spec import eps_text
from bench.store.columns import attacked

_ORDERS = ("l2", "linf")
#: For a column of the rows, the name of its mean over the images attacked.
_MEANS = {
    "iterations": "iterations", "seconds": "seconds", "adv_confidence": "confidence_tried",
    **{order: f"delta_{order}" for order in _ORDERS},
    **{f"unclipped_{order}": f"unclipped_delta_{order}" for order in _ORDERS},
}  # fmt: skip


def perturbations(outcomes: Outcomes) -> pd.DataFrame:
    """Return how large the perturbations of each cell are, a row for each done cell.

    Cells whose rows lack the norm of the clean image, as those of older versions do, are left out.

    Returns:
        `cell, model, family, attack, norm, eps_text` (`minimal` for an attack without eps), `toolkit,
        surface`; `attacked` (images); `fooling` (successes / attacked) with `low, high` (95 % Wilson);
        `confidence_fooled` and `confidence_tried` (means over the images fooled, and over all attacked);
        `delta_*` and `rho_*` for l2 and linf, as at the head of this file; `rho_centred_*` relative to
        ||x - m|| (null if the means of the data set are not known);
        `median_pixels` and `median_values` (median shares of pixels and of channel values that differ
        from the clean image); `iterations, seconds` (means over the images attacked).
        If the attack returns its images before a last clip to [0, 1], the same of these, else null:
        `unclipped_fooling` (share with a wrong label), `unclipped_delta_*`, `unclipped_rho_*`,
        `unclipped_rho_centred_*`; and `fooling_reduction` and `delta_reduction_*`, which are
        (unclipped - clipped) / unclipped.
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
    """Return the norm of each clean image; NaN if it is zero."""
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

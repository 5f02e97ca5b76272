"""How large perturbations are, and how much the clip to [0, 1] changes them.

With r = x' - x for the image tried, whether or not it fooled the model, over the N images attacked:

    Delta_p   = 1/N sum ||r||_p
    rho_p     = 1/N sum ||r||_p / ||x||_p                       p = 2 or infinity

For an attack that looks for the smallest perturbation, rho is the relative robustness of Moosavi-Dezfooli
et al., 'DeepFool', CVPR 2016, eq. 15. Some studies divide by ||x - m||_p instead, where m are the channel
means of the data set. That norm is about half of ||x||_p, so their rho is about twice as large. Both are given.
"""

from __future__ import annotations

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.measure.statistics import wilson
from bench.spec import SIZES, eps_text
from bench.store.columns import attacked, in_parts

_ORDERS = ("l2", "linf")
_BOUNDS = ("low", "high")
#: The figures of a cell, in order.
FIGURES = ("attacked", "fooling", *_BOUNDS, *list(PERTURBATION_FIGURES)[1:])
#: The columns of rows that figures come from.
_READ = [
    "cell", "index", "label", "success", "adv_confidence", "changed_pixels", "changed_values", "iterations",
    "seconds", "unclipped_label", "l2", "linf", "unclipped_l2", "unclipped_linf", *SIZES,
]  # fmt: skip
#: For a figure of a fit, the name of the fact in the record of the fit.
_OF_FIT = {
    f"fit_{fact}": fact for fact in ("images", "fooling", "passes", "seconds")
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
        If the attack is fitted on other images, else null: `fit_images` (those that the model it was
        fitted on gets right), `fit_fooling` (the share of them that it fools), `fit_passes` and
        `fit_seconds` (of the whole fit).
    """
    cells = outcomes.cells
    named = ["cell", "model", "family", "attack", "norm", "toolkit", "surface"]
    table = cells[named].copy()
    table.insert(5, "eps_text", cells["eps"].fillna(eps_text(None)))
    rows = outcomes.results.rows
    figures = [_figures(_image_values(part, cells)) for part in in_parts(rows)]
    found = pd.concat(figures) if figures else _figures(_image_values(rows, cells))
    table = table.merge(found, left_on="cell", right_index=True).reset_index(drop=True)
    fits = [outcomes.results.fit(cell) or {} for cell in table["cell"]]
    for figure, fact in _OF_FIT.items():
        table[figure] = pd.Series([fit.get(fact) for fit in fits], table.index, dtype="float64")
    return table[[*named[:4], "norm", "eps_text", *named[5:], *FIGURES]]


def image_values(outcomes: Outcomes) -> pd.DataFrame:
    """Return what each image that was attacked adds to the figures of its cell.

    Returns:
        A row an image of a done cell: `cell`, `index`, and by figure a number, of which the figure of the
        cell is the mean or the median (`bench.measure.perturbation_figures`); NaN where the image does
        not count. Reductions and figures of fits are not among them.
    """
    return _image_values(outcomes.results.rows, outcomes.cells)


def _image_values(rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return what each of some rows that was attacked adds to the figures of its cell; see `image_values`."""
    measured = attacked(rows) & rows["clean_l2"].notna()
    tried = rows.loc[measured & rows["cell"].isin(cells["cell"]), _READ]
    numbers = tried.astype(dict.fromkeys(("iterations", "unclipped_label"), "float64"))
    changed = (numbers["unclipped_label"] != numbers["label"]).astype(float)
    return numbers[["cell", "index"]].assign(
        fooling=numbers["success"].astype(float),
        confidence_fooled=numbers["adv_confidence"].where(numbers["success"]),
        confidence_tried=numbers["adv_confidence"],
        median_pixels=numbers["changed_pixels"],
        median_values=numbers["changed_values"],
        iterations=numbers["iterations"],
        seconds=numbers["seconds"],
        unclipped_fooling=changed.where(numbers["unclipped_label"].notna()),
        **{f"{before}delta_{order}": numbers[f"{before}{order}"]
           for before in ("", "unclipped_") for order in _ORDERS},
        **{
            f"{before}rho_{kind}{order}": numbers[f"{before}{order}"] / _size(numbers, f"{of}_{order}")
            for before in ("", "unclipped_")
            for kind, of in (("", "clean"), ("centred_", "centred"))
            for order in _ORDERS
        },
    )  # fmt: skip


def _figures(values: pd.DataFrame) -> pd.DataFrame:
    """Return the figures of each cell, by cell, from what its images add to them."""
    of_cell = values.groupby("cell", sort=False)
    kinds = {name: figure.kind for name, figure in PERTURBATION_FIGURES.items()}
    figures = of_cell[[name for name, kind in kinds.items() if kind in ("share", "mean")]].mean()
    medians = of_cell[[name for name, kind in kinds.items() if kind == "median"]].median()
    counts, hits = of_cell.size(), of_cell["fooling"].sum()
    bounds = [wilson(int(hit), int(n)) for hit, n in zip(hits, counts, strict=True)]
    figures = figures.join(medians).assign(
        attacked=counts, low=[low for low, _ in bounds], high=[high for _, high in bounds]
    )
    for name, figure in PERTURBATION_FIGURES.items():
        if figure.parts is not None:
            before, after = (figures[part] for part in figure.parts)
            figures[name] = (before - after) / before.where(before > 0)
    return figures


def _size(numbers: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return the norm of each clean image; NaN if it is zero."""
    size = numbers[name].astype("float64")
    return size.where(size > 0)

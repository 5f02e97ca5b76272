"""Universal perturbations, and the images they fool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.report import formatting
from bench.report.blocks import Figure
from bench.report.drawing import NORM, TEXT_WIDTH
from bench.report.findings import Findings
from bench.report.pixels import amplified
from bench.studies.fooling.attempts import attempts_of, varied
from bench.studies.fooling.selection import (
    DENSENET,
    INCEPTION,
    counted,
    find_cells,
    network,
    networks,
)
from bench.studies.fooling.tiles import Layout, Row, Tile, sheet

_NORMS = ("l2", "linf")
_ABREAST = 4
_HALF = (TEXT_WIDTH - 0.2) / 2
_Cell = Mapping[Any, Any]


def of_each_network(findings: Findings) -> Figure | None:
    """Return the perturbation of each network in l2, and below it that in linf."""
    shown = {}
    for norm in _NORMS:
        cells = _at_the_commonest_radius(_own(findings, norm))
        for eps in cells["eps"].head(1):
            shown[f"{norm} {eps}"] = [
                (findings.called(model), cell)
                for model in networks(findings.results, cells)
                for cell in cells[cells["model"] == model].head(1).to_dict("records")
            ]
    words = f"The universal perturbation of each network, at {' above '.join(shown)}"
    return _perturbations(findings, shown, ("universal-perturbations", words, "12.20"))


def of_each_radius(findings: Findings) -> Figure | None:
    """Return the perturbations of one network at several radii, in l2 above linf."""
    shown, called = {}, ""
    for norm in _NORMS:
        cells = _own(findings, norm)
        cells = cells[cells.groupby("model")["eps"].transform("nunique") > 1]
        model = network(findings.results, cells, INCEPTION)
        cells = _of_the_commonest_fit(cells[cells["model"] == model]).sort_values("radius")
        if len(cells):
            called = findings.called(str(model))
            shown[norm] = [
                (f"$\\xi$ = {cell['eps']}", cell)
                for cell in cells.tail(_ABREAST).to_dict("records")
            ]
    words = (
        f"The universal perturbations of {called} at growing radius xi, in {' above '.join(shown)}"
    )
    return _perturbations(findings, shown, ("universal-radii", words, "12.24"))


def _perturbations(
    findings: Findings,
    shown: Mapping[str, Sequence[tuple[str, _Cell]]],
    words: tuple[str, str, str],
) -> Figure | None:
    """Return perturbations in rows.

    Args:
        findings: of the run.
        shown: for each row, by norm and maybe radius, what stands below a perturbation, and its cell.
        words: name of the figure, first words of its caption, number in the study.
    """
    rows, keys = [], []
    for norm, cells in shown.items():
        tiles = [_tile(findings, cell, named) for named, cell in cells]
        if any(tiles):
            rows.append(Row(tiles, NORM[norm.partition(" ")[0]]))
            keys += [cell["cell"] for _, cell in cells]
    if not rows:
        return None
    measured, (name, says, number) = findings.measured.perturbations, words
    tried = measured.loc[measured["cell"].isin(keys), "attacked"]
    return Figure(
        name=name,
        caption=f"{says}, around grey. Below each what it is multiplied with, and the share that it fools of the "
        f"test images classified right (n = {counted(tried)}). Figure {number} of the study.",
        pdf=sheet(rows, Layout((max(len(row.tiles) for row in rows),), width=_HALF, titled=True)),
        wide=False,
    )


def on_images(findings: Findings) -> Figure | None:
    """Return perturbations on images: of InceptionV3 in l2, and of DenseNet-169 in linf."""
    rows, shown = [], []
    for norm, wanted in (("l2", INCEPTION), ("linf", DENSENET)):
        cells = _at_the_commonest_radius(_own(findings, norm))
        model = network(findings.results, cells, wanted)
        for cell in cells[cells["model"] == model].head(1).to_dict("records"):
            attempts = attempts_of(findings.results, cell)
            indices = varied([attempts], _IMAGES)
            if not indices or not any(attempts[index].fooled for index in indices):
                continue
            called = findings.called(str(model))
            v = _tile(findings, cell, called)
            rows.append(Row([v, *(attempts[index].original() for index in indices)], NORM[norm]))
            rows.append(Row([None, *(attempts[index].tried() for index in indices)]))
            shown.append(
                (called, norm, str(cell["eps"]), len(indices), "12.21" if norm == "l2" else "12.22")
            )
    if not rows:
        return None
    each = "; ".join(
        f"{called} in {norm} at {eps} (n = {count} images, those fooled first)"
        for called, norm, eps, count, _ in shown
    )
    numbers = ["9.2", *(number for *_, number in shown)]
    return Figure(
        name="universal-images",
        caption=f"One perturbation on several images: {each}. At the left the perturbation around grey, with its factor and the "
        "share of test images that it fools; the originals above, the images with it added, clipped to [0, 1], below; "
        f"slanted where the decision stays. Figures {', '.join(numbers[:-1])} and {numbers[-1]} of the study.",
        pdf=sheet(rows, Layout((1, max(len(row.tiles) for row in rows) - 1), titled=True)),
    )


_IMAGES = 7


def _own(findings: Findings, norm: str) -> pd.DataFrame:
    """Return the cells of perturbations that are applied to the network they were fitted on."""
    return find_cells(findings.results, "universal", {"norm": norm, "fitted_on": "itself"})


def _at_the_commonest_radius(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the radius that most networks have, and of the size of fit that most have."""
    most = cells.groupby("eps", sort=False)["model"].nunique()
    return _of_the_commonest_fit(cells[cells["eps"] == most.idxmax()] if len(most) else cells)


def _of_the_commonest_fit(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[cells["fit"] == cells["fit"].mode().iloc[0]] if len(cells) else cells


def _tile(findings: Findings, cell: _Cell, named: str) -> Tile | None:
    """Return the perturbation of a cell; None where none was stored."""
    v = findings.results.perturbation(str(cell["cell"]))
    if v is None:
        return None
    factor, image = amplified(v, float(np.abs(v).max()))
    measured = findings.measured.perturbations
    fooling = measured.loc[measured["cell"] == cell["cell"], "fooling"]
    share = f"{formatting.percent(float(fooling.iloc[0]))} %" if len(fooling) else ""
    return Tile(image=image, below=f"{named}\n× {factor}\n{share}")

"""Universal perturbations, and the images they fool."""

from __future__ import annotations

from collections.abc import Mapping
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
    rows = []
    for norm in _NORMS:
        cells = _at_the_commonest_radius(_own(findings, norm))
        tiles = [
            _tile(findings, cell, findings.called(model))
            for model in networks(findings.results, cells)
            for cell in cells[cells["model"] == model].head(1).to_dict("records")
        ]
        rows.append(tiles)
    return _sheet_of(
        "universal-perturbations", rows, "The universal perturbations of each network", "12.20"
    )


def of_each_radius(findings: Findings) -> Figure | None:
    """Return the perturbations of one network at several radii, in l2 above linf."""
    rows, called = [], ""
    for norm in _NORMS:
        cells = _own(findings, norm)
        several = cells.groupby("model")["eps"].transform("nunique") > 1
        cells = cells[several]
        model = network(findings.results, cells, INCEPTION)
        cells = _of_the_commonest_fit(cells[cells["model"] == model]).sort_values("radius")
        cells = cells.tail(_ABREAST)
        rows.append(
            [_tile(findings, cell, f"$\\xi$ = {cell['eps']}") for cell in cells.to_dict("records")]
        )
        called = findings.called(str(model)) if len(cells) else called
    return _sheet_of(
        "universal-radii",
        rows,
        f"The universal perturbations of {called} at growing radius xi",
        "12.24",
    )


def _sheet_of(name: str, rows: list[list[Tile | None]], says: str, number: str) -> Figure | None:
    titled = [
        Row(tiles, NORM[norm]) for norm, tiles in zip(_NORMS, rows, strict=True) if any(tiles)
    ]
    if not titled:
        return None
    norms = " above ".join(norm for norm, tiles in zip(_NORMS, rows, strict=True) if any(tiles))
    most = max(len(row.tiles) for row in titled)
    return Figure(
        name=name,
        caption=f"{says}, in {norms}, around grey: below each what it is multiplied with and the share of the "
        f"test images classified right that it fools. Figure {number} of the study.",
        pdf=sheet(titled, Layout((most,), width=_HALF, titled=True)),
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

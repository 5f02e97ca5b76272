"""The published figures of a study, each beside ours.

A suite is a study where a file with published figures lies beside its own (`bench.suite_files`). The
columns of such a file are `COLUMNS`; a line is one figure of one table (`bench.measure.published_file`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.published_file import COLUMNS, read_figures
from bench.measure.statistics import wilson
from bench.spec import number

#: The entry in the attack column of figures on clean images.
CLEAN = "none"

_PERCENT = {"%": 1.0, "fraction": 100.0}
_ABSENT = {"ours": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}


def read_published(path: Path) -> pd.DataFrame:
    """Return published figures: `COLUMNS`, all text, but `value` a float, and `printed`, its text.

    Raises:
        SpecError: the file is broken; the message names the line.
    """
    figures = pd.DataFrame(read_figures(path), columns=list(COLUMNS), dtype="str")
    return figures.assign(
        value=figures["value"].map(number).astype("float64"), printed=figures["value"]
    )


def comparison(outcomes: Outcomes, published: pd.DataFrame) -> pd.DataFrame:
    """Return each published accuracy beside ours.

    Ours is the share of all images, including those the model gets wrong, that withstood every valid
    cell of this attack at just this eps, whatever its toolkit and surface, on the images that all of
    these cells have. The model is the one named `DATA/MODEL`. A published eps that is larger than any
    change of an image is read in two ways, see `readings`, and has a row for each.

    Args:
        outcomes: of a suite's last run.
        published: of `read_published`; figures that are no accuracies are left out.

    Returns:
        A row a figure and reading, in the order of the file: `table, data, model, attack, norm,
        eps_published, eps` (texts), `published, ours, low, high` (in percent; 95 % Wilson), `n`
        (images), `cells` (how many count), `planned, note`, and for each surface, as `ours on
        SURFACE`, our accuracy under the attacks through that surface alone. Ours is NaN if no cell
        counts.
    """
    cells: defaultdict[tuple[str, ...], list[_Cell]] = defaultdict(list)
    for row in outcomes.cells[outcomes.cells["shows_robust"]].to_dict("records"):
        cell = _Cell(str(row["cell"]), str(row["surface"]), row["flag"] == "")
        cells[_key(row["model"], row["attack"], row["norm"], row["radius"])].append(cell)
    figures = []
    for figure in published[published["metric"] == "accuracy"].to_dict("records"):
        model = f"{figure['dataset']}/{figure['model']}"
        for eps in readings(figure["norm"], figure["eps"]):
            if figure["attack"] == CLEAN:
                ours = _clean(outcomes.clean.get(model))
            else:
                radius = number(eps) if eps else float("nan")
                key = _key(model, figure["attack"], figure["norm"], radius)
                ours = _attacked(cells.get(key, []), outcomes, radius)
            figures.append(_published(figure) | {"eps": eps} | ours)
    return _ordered(pd.DataFrame(figures, columns=None if figures else list(_FIRST)))


def readings(norm: str, eps: str) -> tuple[str, ...]:
    """Return what a published eps may mean in pixels of [0, 1].

    No pixel can change by more than 1, so a linf radius above 1 is read both as that many of the 255
    steps of a pixel, and as printed, which leaves every pixel free.
    """
    if norm == "linf" and eps and number(eps) > 1:
        return (f"{eps}/255", "1")
    return (eps,)


_FIRST = (
    "table", "data", "model", "attack", "norm", "eps_published", "eps", "published", "ours", "low",
    "high", "n", "cells", "planned", "note",
)  # fmt: skip


def _published(figure: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {
        "table": figure["table"], "data": figure["dataset"], "model": figure["model"],
        "attack": figure["attack"], "norm": figure["norm"], "eps_published": figure["eps"],
        "published": figure["value"] * _PERCENT.get(figure["unit"], np.nan), "note": figure["note"],
    }  # fmt: skip


def _clean(right: pd.Series[bool] | None) -> dict[str, Any]:
    if right is None:
        return {**_ABSENT, "cells": 0, "planned": 0}
    low, high = wilson(int(right.sum()), len(right))
    ours = {"ours": 100 * float(right.mean()), "low": 100 * low, "high": 100 * high}
    return {**ours, "n": len(right), "cells": 0, "planned": 0}


class _Cell(NamedTuple):
    """What is needed to know of a planned cell: its key, its surface, and whether it counts."""

    key: str
    surface: str
    valid: bool


def _key(model: str, attack: str, norm: str, radius: float) -> tuple[str, ...]:
    """Return the key under which cells of one figure are found; radii that are equal give one key."""
    return (model, attack, norm, f"{radius:.9g}")


def _attacked(cells: Sequence[_Cell], outcomes: Outcomes, radius: float) -> dict[str, Any]:
    """Return our figures of one attack on one model at one radius, from its cells."""
    valid = [cell for cell in cells if cell.valid]
    counts = {"cells": len(valid), "planned": len(cells)}
    if not valid:
        return {**_ABSENT, **counts}
    keys = [cell.key for cell in valid]
    all_surfaces = outcomes.group(keys).within(radius, keys).figures()
    figures = {"ours": all_surfaces["accuracy"]} | {
        name: all_surfaces[name] for name in ("low", "high")
    }
    for surface in dict.fromkeys(cell.surface for cell in valid):
        through = [cell.key for cell in valid if cell.surface == surface]
        alone = outcomes.group(through).within(radius, through)
        figures[f"ours on {surface}"] = alone.figures()["accuracy"]
    percent = {name: 100 * share for name, share in figures.items()}
    return percent | {"n": all_surfaces["n"]} | counts


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the columns of surfaces last."""
    surfaces = [name for name in frame.columns if name not in _FIRST]
    return frame[[*_FIRST, *surfaces]].reset_index(drop=True)

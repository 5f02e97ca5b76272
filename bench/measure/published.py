"""The published figures of a study, each beside ours.

A suite is a study where a file with published figures lies beside its own (`bench.suite_files`). The
columns of such a file are `COLUMNS`; a line is one figure of one table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.errors import SpecError
from bench.measure.outcomes import Outcomes, clean_answers, outcomes
from bench.measure.statistics import wilson
from bench.spec import number
from bench.store.results import Results

#: The columns of a file of published figures.
COLUMNS = (
    "study", "table", "dataset", "model", "attack", "norm", "eps", "metric", "value", "unit", "note",
)  # fmt: skip

#: What stands in the column of the attack where there is none.
CLEAN = "none"

_PERCENT = {"%": 1.0, "fraction": 100.0}
_ABSENT = {"ours": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}


def read_published(path: Path) -> pd.DataFrame:
    """Return published figures: `COLUMNS`, all text, but `value` a float.

    Raises:
        SpecError: the file has other columns, or a value that is no number.
    """
    try:
        figures = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig")
        if tuple(figures.columns) != COLUMNS:
            raise SpecError(f"{path}: published figures need the columns {', '.join(COLUMNS)}")
        return figures.assign(value=figures["value"].astype("float64"))
    except ValueError as error:  # pandas' own are of this kind too
        raise SpecError(f"{path}: {error}") from error


def comparison(results: Results, published: pd.DataFrame) -> pd.DataFrame:
    """Return each published accuracy beside ours.

    Ours is the share of all images, those the model gets wrong included, that withstood every valid
    cell of this attack at just this eps: of whatever toolkit and surface, per image, on the images
    that all of these cells have. The model is
    the one called `DATA/MODEL`. A published eps that no image has room for is read in two ways,
    see `readings`, and has a row for each.

    Args:
        results: the cells of a suite's last run.
        published: of `read_published`; figures that are no accuracies are left out.

    Returns:
        A row a figure and reading, in the order of the file: `table, data, model, attack, norm,
        eps_published, eps` (texts), `published, ours, low, high` (in percent; 95 % Wilson), `n`
        (images), `cells` (of them that count), `planned, note`, and for each surface, as
        `ours on SURFACE`, our accuracy where only it was climbed. Without a cell that counts ours is
        NaN.
    """
    known, right = outcomes(results), clean_answers(results)
    aimed: defaultdict[tuple[str, ...], list[_Cell]] = defaultdict(list)
    for cell in known.cells[known.cells["shows"]].to_dict("records"):
        of_it = _Cell(str(cell["cell"]), str(cell["surface"]), cell["flag"] == "")
        aimed[_key(cell["model"], cell["attack"], cell["norm"], cell["radius"])].append(of_it)
    found = []
    for one in published[published["metric"] == "accuracy"].to_dict("records"):
        model = f"{one['dataset']}/{one['model']}"
        for eps in readings(one["norm"], one["eps"]):
            if one["attack"] == CLEAN:
                ours = _clean(right.get(model))
            else:
                radius = number(eps) if eps else float("nan")
                cells = aimed.get(_key(model, one["attack"], one["norm"], radius), [])
                ours = _attacked(cells, known, radius)
            found.append(_published(one) | {"eps": eps} | ours)
    return _ordered(pd.DataFrame(found, columns=None if found else list(_FIRST)))


def readings(norm: str, eps: str) -> tuple[str, ...]:
    """Return what a published eps may mean in pixels of [0, 1].

    A radius in linf above 1 is beyond what an image has room for: read as that many of the 255 steps
    of a pixel, and, as printed, as every pixel free.
    """
    if norm == "linf" and eps and number(eps) > 1:
        return (f"{eps}/255", "1")
    return (eps,)


_FIRST = (
    "table", "data", "model", "attack", "norm", "eps_published", "eps", "published", "ours", "low",
    "high", "n", "cells", "planned", "note",
)  # fmt: skip


def _published(one: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {
        "table": one["table"], "data": one["dataset"], "model": one["model"],
        "attack": one["attack"], "norm": one["norm"], "eps_published": one["eps"],
        "published": one["value"] * _PERCENT.get(one["unit"], np.nan), "note": one["note"],
    }  # fmt: skip


def _clean(right: pd.Series[bool] | None) -> dict[str, Any]:
    if right is None:
        return {**_ABSENT, "cells": 0, "planned": 0}
    low, high = wilson(int(right.sum()), len(right))
    ours = {"ours": 100 * float(right.mean()), "low": 100 * low, "high": 100 * high}
    return {**ours, "n": len(right), "cells": 0, "planned": 0}


class _Cell(NamedTuple):
    """What is asked of a planned cell: its key, its surface, and whether it counts."""

    key: str
    surface: str
    valid: bool


def _key(model: str, attack: str, norm: str, radius: float) -> tuple[str, ...]:
    """Return what cells of one figure have in common; a radius is the same however it is written."""
    return (model, attack, norm, f"{radius:.9g}")


def _attacked(cells: Sequence[_Cell], known: Outcomes, radius: float) -> dict[str, Any]:
    """Return our figures of one attack on one model at one radius, from the cells that aim at it."""
    valid = [cell for cell in cells if cell.valid]
    counts = {"cells": len(valid), "planned": len(cells)}
    if not valid:
        return {**_ABSENT, **counts}
    keys = [cell.key for cell in valid]
    worst = known.group(keys).at(radius, keys)
    told = worst.figures()
    figures = {"ours": told["accuracy"], "low": told["low"], "high": told["high"]}
    for surface in dict.fromkeys(cell.surface for cell in valid):
        on_it = [cell.key for cell in valid if cell.surface == surface]
        alone = known.group(on_it).at(radius, on_it, on_it)
        figures[f"ours on {surface}"] = alone.figures()["accuracy"]
    return {name: 100 * share for name, share in figures.items()} | {"n": told["n"]} | counts


def _ordered(found: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the columns of surfaces last."""
    surfaces = [name for name in found.columns if name not in _FIRST]
    return found[[*_FIRST, *surfaces]].reset_index(drop=True)

"""Original, perturbation and adversarial image side by side, from the pictures kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.table import DATASETS
from bench.report import formatting
from bench.report.labels import label_of
from bench.report.picture_blocks import AttackColumn, Picture, PictureGrid
from bench.report.pixels import amplified, to_png
from bench.store.columns import attacked
from bench.store.results import Results

#: What the store keeps of a cell: `index` (k,), `x` and `x_adv` (k, C, H, W); empty for nothing.
Kept = Mapping[str, Any]
Row = Mapping[Any, Any]

IMAGES = 4
ATTACKS = 3


def picture_grid(results: Results, called: Mapping[str, str]) -> PictureGrid | None:
    """Return the first attacked images of the first model that has any; None where none has.

    Args:
        results: of the run.
        called: what the attack of each cell is called.
    """
    if results.rows.empty:
        return None
    for model in results.cells["model"].unique():
        classes = classes_of(results, model)
        kept = _chosen(results, model)
        rows = {cell: _attacked(results, cell, kept[cell]) for cell in kept}
        indices = _shared(list(rows.values()))
        if indices:
            first = next(iter(kept))
            originals = tuple(
                Picture(
                    png=to_png(image_of(kept[first], "x", index)),
                    below=label_of(rows[first][index], "clean", classes),
                )
                for index in indices
            )
            asked = {cell["cell"]: cell for cell in results.cells.to_dict("records")}
            columns = tuple(
                _column(called[cell], asked[cell], rows[cell], kept[cell], indices, classes)
                for cell in kept
            )
            return PictureGrid(model=model, originals=originals, columns=columns)
    return None


def _chosen(results: Results, model: str) -> dict[str, Kept]:
    """Return the pictures of the cells shown: the strongest attacks of one model, none twice.

    First one of each norm, then one of each kind (fixed radius, minimal) in it, then any; noise
    comes last, since it is a yardstick and not an attack to look at. In the plan's order.
    """
    cells = results.cells
    cells = cells[(cells["model"] == model) & (cells["status"] == "done")]
    successes = results.rows.groupby("cell")["success"].sum()
    ranked = cells.assign(
        strength=cells["cell"].map(successes).fillna(0),
        aside=cells["attack"].str.contains("noise"),
        both=cells["norm"] + " " + cells["kind"],
    ).sort_values(["aside", "strength"], ascending=[True, False], kind="stable")
    chosen: dict[str, Kept] = {}
    seen: set[tuple[str, str]] = set()
    for fresh in (("norm", "attack"), ("both", "attack"), ("attack",)):
        for cell in ranked.to_dict("records"):
            new = not seen & {(column, str(cell[column])) for column in fresh}
            kept = results.pictures(str(cell["cell"])) if new and len(chosen) < ATTACKS else {}
            if kept:
                chosen[str(cell["cell"])] = kept
                seen |= {(column, str(cell[column])) for column in ("norm", "both", "attack")}
    return {cell: chosen[cell] for cell in cells["cell"] if cell in chosen}


def _attacked(results: Results, cell: str, kept: Kept) -> dict[int, Row]:
    """Return the rows of the kept images that were attacked with a valid outcome, by index."""
    rows = results.rows[results.rows["cell"] == cell]
    rows = rows[attacked(rows) & rows["invalid"].isna()]
    rows = rows[rows["index"].isin(np.asarray(kept["index"]))]
    return {int(row["index"]): row for row in rows.to_dict("records")}


def _shared(rows: Sequence[Mapping[int, Row]]) -> list[int]:
    return sorted(set.intersection(*map(set, rows)))[:IMAGES] if rows else []


def _column(
    called: str,
    cell: Row,
    rows: Mapping[int, Row],
    kept: Kept,
    indices: list[int],
    classes: Sequence[str],
) -> AttackColumn:
    changes = [image_of(kept, "x_adv", index) - image_of(kept, "x", index) for index in indices]
    largest = max(float(np.abs(change).max()) for change in changes)
    factor = 1
    pairs = []
    for index, change in zip(indices, changes, strict=True):
        distance = formatting.distance(str(cell["norm"]), float(rows[index][cell["norm"]]))
        factor, shown = amplified(change, largest)
        added = Picture(png=to_png(shown), below=distance)
        below = label_of(rows[index], "adv", classes)
        pairs.append((added, Picture(png=to_png(image_of(kept, "x_adv", index)), below=below)))
    return AttackColumn(
        attack=called,
        threat=formatting.threat(cell["norm"], cell["eps"]),
        toolkit=str(cell["toolkit"]),
        factor=factor,
        pairs=tuple(pairs),
    )


def classes_of(results: Results, model: str) -> Sequence[str]:
    """Return the class names of a model's data set; none where neither the log nor Crossfire knows them."""
    logged = next(one for one in results.models if one["model"] == model)
    known = DATASETS.get(logged["data"])
    names: Sequence[str] = known.classes if known else logged.get("classes", ())
    return names


def image_of(kept: Kept, name: str, index: int) -> NDArray[np.float32]:
    """Return one of the kept pictures, (C, H, W)."""
    at = int(np.flatnonzero(np.asarray(kept["index"]) == index)[0])
    image: NDArray[np.float32] = np.asarray(kept[name][at], dtype=np.float32)
    return image

"""What attacks did to the images whose pictures a run kept: what the galleries of this study are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.report import formatting
from bench.report.drawing import NORM
from bench.report.labels import label_of
from bench.report.pictures import classes_of, image_of
from bench.report.pixels import amplified, framed
from bench.store.columns import attacked
from bench.store.results import Results
from bench.studies.fooling.selection import networks
from bench.studies.fooling.tiles import Pixels, Tile

#: So many changed pixels are few; an image of at most so many pixels across shows each of them.
_FEW, _COARSE = 10, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a cell did to an image.

    Attributes:
        x: the clean image, (C, H, W).
        x_adv: the image tried.
        row: its row of the results.
        classes: names, in the order of the labels.
    """

    x: Pixels
    x_adv: Pixels
    row: Mapping[Any, Any]
    classes: Sequence[str]

    @property
    def fooled(self) -> bool:
        """Whether the attack succeeded."""
        return bool(self.row["success"])

    def size(self, norm: str) -> float:
        """Return a norm of the perturbation."""
        return float(self.row[norm])

    def label(self, which: str) -> str:
        """Return the model's decision and below it its confidence; `which` is `clean` or `adv`."""
        said = label_of(self.row, which, self.classes)
        name, _, sure = said.rpartition(" (")
        return f"{_short(name)}\n{sure.removesuffix(')')}" if name else _short(said)

    def original(self) -> Tile:
        """Return the clean image with the model's decision."""
        return Tile(image=self.x, below=self.label("clean"))

    def tried(self, more: str = "") -> Tile:
        """Return the image tried with the model's decision and, below it, more words."""
        below = "\n".join(filter(None, [self.label("adv"), more]))
        return Tile(image=self.x_adv, below=below, failed=not self.fooled, whole=self._few)

    def added(self, *norms: str) -> Tile:
        """Return the perturbation around grey, with what it is multiplied with, and its norms.

        Pixels have frames where they are few, or too fine to be seen without.
        """
        change = self.x_adv - self.x
        factor, image = amplified(change, float(np.abs(change).max()))
        if self._few or change.shape[-1] > _COARSE:
            image = framed(image, change)
        below = "\n".join([f"× {factor}", *(in_norm(norm, self.size(norm)) for norm in norms)])
        return Tile(image=image, below=below, whole=self._few)

    @property
    def _few(self) -> bool:
        return 0 < self.size("l0") <= _FEW


def in_norm(norm: str, size: float) -> str:
    """Return a norm of a perturbation in print; of l0 the number of pixels."""
    if norm == "l0":
        return formatting.plural(round(size), "pixel")
    return f"{NORM[norm]} {formatting.amount(size, 2) if size >= 1e-3 else f'{size:.2g}'}"


def _short(name: str) -> str:
    """Return the first of the names of a class, which has several in ImageNet."""
    return name.partition(",")[0]


def attempts_of(results: Results, cell: Mapping[Any, Any]) -> dict[int, Attempt]:
    """Return what a cell did to each image that it attacked with a valid outcome and kept, by index."""
    key = str(cell["cell"])
    kept = results.pictures(key)
    if not kept:
        return {}
    rows = results.rows[results.rows["cell"] == key]
    rows = rows[attacked(rows) & rows["invalid"].isna()]
    rows = rows[rows["index"].isin(np.asarray(kept["index"]))]
    classes = classes_of(results, str(cell["model"]))
    return {
        int(row["index"]): Attempt(
            x=image_of(kept, "x", row["index"]), x_adv=image_of(kept, "x_adv", row["index"]),
            row=row, classes=classes,
        )
        for row in rows.sort_values("index").to_dict("records")
    }  # fmt: skip


def by_model(results: Results, cells: pd.DataFrame) -> dict[str, dict[int, Attempt]]:
    """Return what the first cell of each network did, of those that kept pictures; at most four."""
    return {
        model: attempts
        for model in networks(results, cells)
        for cell in cells[cells["model"] == model].head(1).to_dict("records")
        if (attempts := attempts_of(results, cell))
    }


def varied(columns: Sequence[Mapping[int, Attempt]], count: int) -> list[int]:
    """Return images that all columns have: those that more of them fooled before others, then of different classes.

    Args:
        columns: what several cells did.
        count: how many images at most.
    """
    if not columns:
        return []
    shared = sorted(set.intersection(*map(set, columns)))
    fooled = {index: sum(column[index].fooled for column in columns) for index in shared}
    seen: Counter[tuple[int, int]] = Counter()
    ranked = []
    for index in shared:
        alike = (fooled[index], int(columns[0][index].row["label"]))
        seen[alike] += 1
        ranked.append((-fooled[index], seen[alike], index))
    return sorted(index for *_, index in sorted(ranked)[:count])

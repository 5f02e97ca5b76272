"""Examples: a few images under a few attacks, and one image of each model under every attack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report import formatting
from bench.report.blocks import Block, Section, Text
from bench.report.findings import Findings
from bench.report.labels import label_of
from bench.report.picture_blocks import Panel, Picture, Sheet
from bench.report.pictures import Kept, Row, classes_of, image_of, picture_grid
from bench.report.pixels import amplified, framed, to_png
from bench.report.rules import SectionRule
from bench.spec import ATTACKING
from bench.store.columns import attacked
from bench.store.results import Results

#: Pictures are kept of the first images of a cell; only these are looked at.
_FIRST = 16

#: Sheets of more models than these are many pages that look alike.
MODELS = 6


def section(findings: Findings) -> Section | None:
    """Return examples: a few images under a few attacks, then one image of each model under every attack."""
    if findings.study.brief:
        return None
    results = findings.results
    grid, sheets = picture_grid(results, findings.attack_names), gallery(results)
    blocks: list[Block] = [grid or Text(text="No pictures: no attacked image was kept."), *sheets]
    unseen = len(results.models) - len(sheets)
    if sheets and unseen:
        blocks.append(
            Text(
                text=f"Of the {len(results.models)} models of this run, {unseen} are not shown here."
            )
        )
    return Section(label="examples", title="Examples", blocks=tuple(blocks))


def gallery(results: Results) -> list[Sheet]:
    """Return a sheet of each of the first `MODELS`: the first image that most attacks changed."""
    sheets = (_sheet(results, model) for model in results.cells["model"].unique())
    found = list(islice((sheet for sheet in sheets if sheet is not None), MODELS))
    return [replace(sheet, explained=turn > 0) for turn, sheet in enumerate(found)]


def _sheet(results: Results, model: str) -> Sheet | None:
    cells = results.cells[(results.cells["model"] == model) & results.cells["kind"].isin(ATTACKING)]
    changed = _changed(results, model)
    if changed.empty:
        return None
    touched = changed.groupby("index")["attack"].nunique()
    index = min(int(at) for at in changed["index"] if touched[at] == touched.max())
    rows = changed[changed["index"] == index]
    shown = list(_strongest(results, rows, list(cells["attack"].unique())))
    if not shown:
        return None
    classes, eps = classes_of(results, model), dict(zip(cells["cell"], cells["eps"], strict=True))
    row, kept = shown[0]
    names = {str(row["attack"]) for row, _ in shown}
    return Sheet(
        model=model,
        index=index,
        original=Picture(
            png=to_png(image_of(kept, "x", index)), below=label_of(row, "clean", classes)
        ),
        panels=tuple(_panel(row, kept, eps[row["cell"]], classes) for row, kept in shown),
        without=tuple(name for name in cells["attack"].unique() if name not in names),
    )


def _changed(results: Results, model: str) -> pd.DataFrame:
    """Return the rows of a model whose image was changed, with a valid outcome."""
    rows = results.rows[(results.rows["model"] == model) & (results.rows["index"] < _FIRST)]
    return rows[attacked(rows) & rows["invalid"].isna() & (rows["linf"] > 0)]


def _strongest(
    results: Results, rows: pd.DataFrame, names: list[str]
) -> Iterator[tuple[Row, Kept]]:
    """Yield the row and the pictures of each attack's strongest cell that kept this image.

    One that fooled the model comes before one that did not; then the norm that the run names
    first; then the smallest change of those that fooled it, the largest of those that did not.
    """
    order = {cell: turn for turn, cell in enumerate(results.cells["norm"].unique())}

    def weakness(row: Row) -> tuple[bool, int, float]:
        size = float(row[str(row["norm"])])
        return not row["success"], order[row["norm"]], size if row["success"] else -size

    for name in names:
        for row in sorted(rows[rows["attack"] == name].to_dict("records"), key=weakness):
            kept = results.pictures(str(row["cell"]))
            if kept and int(row["index"]) in np.asarray(kept["index"]):
                yield row, kept
                break


def _panel(row: Row, kept: Kept, eps: object, classes: Sequence[str]) -> Panel:
    norm, index = str(row["norm"]), int(row["index"])
    change = _added(kept, index)
    factor, shown = amplified(change, float(np.abs(change).max()))
    return Panel(
        attack=str(row["attack"]),
        toolkit=str(row["toolkit"]),
        norm=norm,
        size=_size(row, eps),
        factor=factor,
        fooled=bool(row["success"]),
        tried=Picture(
            png=to_png(image_of(kept, "x_adv", index)), below=label_of(row, "adv", classes)
        ),
        added=to_png(framed(shown, change)),
    )


def _size(row: Row, eps: object) -> str:
    """Return the norm of what was added; one as large as the radius in the words of the run."""
    norm, radius = str(row["norm"]), row["eps"]
    value = float(row[norm])
    spent = not formatting.missing(radius) and abs(value - radius) <= 1e-4 * radius
    return str(eps) if spent and norm != "l0" else formatting.distance(norm, value)


def _added(kept: Kept, index: int) -> NDArray[np.float32]:
    """Return what an attack added to an image, (C, H, W)."""
    return image_of(kept, "x_adv", index) - image_of(kept, "x", index)


SECTION = SectionRule(name="gallery", place=120, make=section)

"""One image of each class: figure 1 of the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from bench.data.flowers import flower, flowers_present
from bench.data.table import DATASETS
from bench.paths import data_dir
from bench.report.blocks import Figure
from bench.report.drawing import TEXT_WIDTH, style, to_pdf
from bench.report.findings import Findings
from bench.report.pictures import image_of
from bench.report.pixels import to_bytes
from bench.store.results import Results
from bench.studies.flowers17.names import DATA

Pixels = NDArray[np.float32]
_ACROSS = 9


def classes_figure(findings: Findings) -> Figure | None:
    """Return one image of each class that the run kept, drawn by its seed; None where it kept none.

    An image of a class of which it kept none comes from the data folder, where the photographs are there.
    """
    kept = images_by_class(findings.results)
    if not kept:
        return None
    draw = np.random.default_rng(findings.results.protocol["seed"])
    shown, added, lacking = {}, [], []
    for label, name in enumerate(DATASETS[DATA].classes):
        if label in kept:
            shown[name] = kept[label][int(draw.integers(len(kept[label])))]
        elif flowers_present(data_dir()):
            # A split takes its classes in turn, so this is its first image of the class.
            shown[name] = flower(findings.results.protocol["split"], label, data_dir()).numpy()
            added.append(name)
        else:
            lacking.append(name)
    left = f" That of {', '.join(added)} is from the data folder." if added else ""
    left += f" It kept none of {', '.join(lacking)}." if lacking else ""
    return Figure(
        name="classes", pdf=_sheet(shown),
        caption=f"One image of each class, drawn from the pictures that the run kept.{left} Figure 1 of the document.",
    )  # fmt: skip


def images_by_class(results: Results) -> Mapping[int, Sequence[Pixels]]:
    """Return the clean images of flowers that a run kept, (C, H, W), by their class; each image once."""
    cells = results.cells
    cells = cells[(cells["data"] == DATA) & (cells["status"] == "done")]
    labels = _labels(results)
    found: dict[int, Pixels] = {}
    for cell in cells["cell"]:
        if found.keys() >= labels.keys():
            break
        pictures: Mapping[str, Any] = results.pictures(str(cell))
        for index in map(int, np.asarray(pictures["index"]) if pictures else ()):
            if index not in found and index in labels:
                found[index] = image_of(pictures, "x", index)
    by_class: dict[int, list[Pixels]] = {}
    for index in sorted(found):
        by_class.setdefault(labels[index], []).append(found[index])
    return by_class


def _labels(results: Results) -> dict[int, int]:
    """Return the class of each image of flowers in the rows of a run."""
    rows = results.rows.loc[results.rows["dataset"] == DATA, ["index", "label"]]
    rows = rows.drop_duplicates("index")
    return dict(zip(map(int, rows["index"]), map(int, rows["label"]), strict=True))


def _sheet(shown: Mapping[str, Pixels]) -> bytes:
    across = min(_ACROSS, len(shown))
    down = -(-len(shown) // across)
    with style():
        figure = Drawing(
            figsize=(TEXT_WIDTH, down * (TEXT_WIDTH / _ACROSS + 0.14)), layout="constrained"
        )
        grid = figure.subplots(down, across, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (name, image) in zip(grid.flat, shown.items(), strict=False):
            axes.imshow(to_bytes(image).transpose(1, 2, 0), interpolation="none")
            axes.set_title(name, fontsize=6.3, pad=2)
        return to_pdf(figure)

"""How an embedding forms as a network is trained: the same images at several moments, in a plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from bench.data.table import DATASETS
from bench.report import formatting
from bench.report.blocks import Figure
from bench.report.drawing import TEXT_WIDTH, canvas, style, to_pdf
from bench.store.results import Results

#: The model the study shows, where the run has it.
_SHOWN = "cifar10/dml-triplet-sgd"

#: P. Tol's muted scheme and a tenth; told apart with any colour vision, darker and lighter in turn.
_COLOURS = (
    "#332288", "#88ccee", "#117733", "#ddcc77", "#882255", "#44aa99", "#cc6677", "#999933",
    "#aa4499", "#7a7a7a",
)  # fmt: skip
_MARKERS = "os^Dv"


def embedding_figure(results: Results) -> Figure | None:
    """Return a panel a moment of training; None where no model of the run was watched.

    Of several models the one that the study of metric learning shows is taken, else the first.
    """
    watched = [model for model in results.models if model.get("moments")]
    if not watched:
        return None
    model = next((model for model in watched if _trunk(model["model"]) == _SHOWN), watched[0])
    labels = np.asarray(model["moments"]["labels"])
    epochs = sorted(model["moments"]["epochs"].items(), key=lambda pair: int(pair[0]))
    with style():
        figure = canvas(TEXT_WIDTH, 2.45)
        for axes, (epoch, points) in zip(
            np.atleast_1d(figure.subplots(1, len(epochs))), epochs, strict=True
        ):
            _panel(axes, np.asarray(points, dtype=float), labels)
            axes.set_title(f"epoch {epoch}", fontsize=8)
        classes = sorted(set(labels.tolist()))
        figure.legend(
            [_key(label) for label in classes], _class_names(model["data"], classes),
            loc="outside lower center", ncols=min(len(classes), 10), frameon=False,
            handletextpad=0.1, columnspacing=0.9, fontsize=7,
        )  # fmt: skip
        pdf = to_pdf(figure)
    return Figure(
        name="embedding",
        caption=f"The embedding of {formatting.plural(len(labels), 'test image')} by "
        f"{_trunk(model['model'])} as it is trained, projected onto a plane; one colour and marker a "
        "class. Directions and lengths of the axes have no meaning of their own (published as "
        "figure 3.3).",
        pdf=pdf,
    )


def _trunk(title: str) -> str:
    """Return what a model is called without the rule of its vote, which its embedding does not depend on."""
    return title.partition("-knn")[0]


def _panel(axes: Any, points: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
    for label in sorted(set(labels.tolist())):
        at = labels == label
        axes.scatter(
            points[at, 0], points[at, 1], s=8, color=_COLOURS[label % len(_COLOURS)],
            marker=_MARKERS[label % len(_MARKERS)], linewidths=0.2, edgecolors="white",
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.06)
    axes.set_box_aspect(1)


def _key(label: int) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker=_MARKERS[label % len(_MARKERS)], markersize=4,
        color=_COLOURS[label % len(_COLOURS)], markeredgewidth=0,
    )  # fmt: skip


def _class_names(data: str, classes: list[int]) -> list[str]:
    known = DATASETS.get(data)
    return [known.classes[label] if known else str(label) for label in classes]

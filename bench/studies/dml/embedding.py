"""How an embedding forms as a network is trained: the same images at several moments, in a plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.data.table import DATASETS
from bench.report import formatting
from bench.report.figures import TEXT_WIDTH, style, to_pdf
from bench.report.study_kind import Picture
from bench.store.results import Results

#: The model the study shows, where the run has it.
_SHOWN = "cifar10/dml-triplet-sgd"

#: P. Tol's muted scheme and a tenth; told apart with any colour vision, darker and lighter in turn.
_COLOURS = (
    "#332288", "#88ccee", "#117733", "#ddcc77", "#882255", "#44aa99", "#cc6677", "#999933",
    "#aa4499", "#7a7a7a",
)  # fmt: skip
_MARKERS = "os^Dv"


def embedding_figure(results: Results) -> Picture | None:
    """Return a panel a moment of training; None where no model of the run was watched.

    Of several models the one that the study of metric learning shows is taken, else the first.
    """
    watched = [model for model in results.models if model.get("moments")]
    if not watched:
        return None
    model = next((one for one in watched if _trunk(one["model"]) == _SHOWN), watched[0])
    labels = np.asarray(model["moments"]["labels"])
    epochs = sorted(model["moments"]["epochs"].items(), key=lambda pair: int(pair[0]))
    with style():
        figure = Figure(figsize=(TEXT_WIDTH, 2.45), layout="constrained")
        for axes, (epoch, points) in zip(
            np.atleast_1d(figure.subplots(1, len(epochs))), epochs, strict=True
        ):
            _panel(axes, np.asarray(points, dtype=float), labels)
            axes.set_title(f"epoch {epoch}", fontsize=8)
        classes = sorted(set(labels.tolist()))
        figure.legend(
            [_key(one) for one in classes], _names(model["model"], classes),
            loc="outside lower center", ncols=min(len(classes), 10), frameon=False,
            handletextpad=0.1, columnspacing=0.9, fontsize=7,
        )  # fmt: skip
        pdf = to_pdf(figure)
    return Picture(
        name="embedding",
        caption=f"The embedding of {formatting.plural(len(labels), 'test image')} by "
        f"{_trunk(model['model'])} as it is trained, projected onto a plane; one colour and marker a "
        "class. Directions and lengths of the axes have no meaning of their own (published as "
        "figure 3.3).",
        pdf=pdf,
    )


def _trunk(title: str) -> str:
    """Return what a model is called without the rule of its vote, which the embedding knows not of."""
    return title.partition("-knn")[0]


def _panel(axes: Any, points: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
    for one in sorted(set(labels.tolist())):
        at = labels == one
        axes.scatter(
            points[at, 0], points[at, 1], s=8, color=_COLOURS[one % len(_COLOURS)],
            marker=_MARKERS[one % len(_MARKERS)], linewidths=0.2, edgecolors="white",
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.06)
    axes.set_box_aspect(1)


def _key(one: int) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker=_MARKERS[one % len(_MARKERS)], markersize=4,
        color=_COLOURS[one % len(_COLOURS)], markeredgewidth=0,
    )  # fmt: skip


def _names(title: str, classes: list[int]) -> list[str]:
    known = DATASETS.get(title.partition("/")[0])
    return [known.classes[one] if known else str(one) for one in classes]

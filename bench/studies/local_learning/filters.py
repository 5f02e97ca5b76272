"""Figures of filters: over the training, and those of local learning beside those of back-propagation."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.report.blocks import Figure
from bench.report.drawing import TEXT_WIDTH, canvas, style, to_pdf
from bench.spec import configuration
from bench.store.results import Results
from bench.studies.local_learning.repeated_runs import rule_of

_Model = Mapping[str, Any]
Tiles = npt.NDArray[np.uint8]

_RULES = {"ll": "LL", "bp": "BP"}
_MOST = 4


def filter_figures(results: Results) -> list[Figure]:
    """Return the figures of filters that a run has pictures for."""
    watched: list[_Model] = [
        model
        for model in results.models
        if model.get("filters") and configuration(model["model"]) == model["model"]
    ]
    pair = _pairs(watched)[:1] or [watched[:1]]
    return [_training(pair[0]), _beside(watched)] if watched else []


def _pairs(watched: Sequence[_Model]) -> list[list[_Model]]:
    """Return local learning and back-propagation of networks alike in all that both have."""
    twins = {_shared(model): model for model in watched if rule_of(model["model"]) == "bp"}
    learnt = [model for model in watched if rule_of(model["model"]) == "ll"]
    return [[model, twins[_shared(model)]] for model in learnt if _shared(model) in twins]


def _shared(model: _Model) -> str:
    """Return the name without the rule and what local learning alone has."""
    return re.sub(r"/(ll|bp)-|-m\d+-p\d+(-delta[\d.]+)?", "", model["model"])


def _training(models: Sequence[_Model]) -> Figure:
    """Return the filters of one or two models, a row each, at the epochs that were watched."""
    across = max(len(model["filters"]["epochs"]) for model in models)
    with style():
        figure = canvas(TEXT_WIDTH, len(models) * (TEXT_WIDTH / across + 0.22))
        rows = figure.subplots(len(models), across, squeeze=False)
        for row, model in zip(rows, models, strict=True):
            for axes in row:
                axes.set_axis_off()
            for axes, (epoch, tiles) in zip(row, _epochs(model), strict=False):
                _show(axes, tiles)
                axes.set_title(
                    f"{_RULES[rule_of(model['model'])]}, epoch {epoch}", fontsize=8, pad=3
                )
        pdf = to_pdf(figure)
    called = " and ".join(model["model"] for model in models)
    return Figure(
        name="filters-training",
        caption=f"Filters of {called} as they are trained, each scaled from its least value (black) to "
        f"its largest. {_counted(models[0])} (published as figures 8.1 to 8.3).",
        pdf=pdf,
    )


def _beside(watched: Sequence[_Model]) -> Figure:
    """Return the trained filters of each model, local learning above and back-propagation below."""
    by_rule = {rule: [m for m in watched if rule_of(m["model"]) == rule][:_MOST] for rule in _RULES}
    rules = [rule for rule, models in by_rule.items() if models]
    across = max(len(models) for models in by_rule.values())
    with style():
        figure = canvas(TEXT_WIDTH, len(rules) * (TEXT_WIDTH / across + 0.25))
        rows = figure.subplots(len(rules), across, squeeze=False)
        for row, rule in zip(rows, rules, strict=True):
            for axes in row:
                axes.set_axis_off()
            for axes, model in zip(row, by_rule[rule], strict=False):
                _show(axes, _epochs(model)[-1][1])
                axes.set_title(_titled(model), fontsize=6.5, pad=3)
        pdf = to_pdf(figure)
    return Figure(
        name="filters",
        caption="Filters after training, of local learning (LL) above and of back-propagation (BP) below, "
        f"each scaled from its least value to its largest. {_counted(watched[0])}. f-score: the share of "
        "filters that are positive throughout and of unit norm (published as figures 8.7 and 8.8).",
        pdf=pdf,
    )


def _titled(model: _Model) -> str:
    """Return the name of a network, and the f-score of filters that were learnt locally."""
    name, score = str(model["model"]).rpartition("/")[2], model.get("f_score")
    return name if score is None else f"{name}\nf-score {score:.2f}"


def _counted(model: _Model) -> str:
    return f"At most the first {model['filters']['shape'][0]} filters of a network are shown"


def _epochs(model: _Model) -> list[tuple[str, Tiles]]:
    """Return the epochs, in order, and the pictures (N, C, width, width) of each."""
    filters = model["filters"]
    epochs = sorted(filters["epochs"].items(), key=lambda pair: int(pair[0]))
    return [
        (epoch, np.frombuffer(base64.b64decode(tiles), np.uint8).reshape(filters["shape"]))
        for epoch, tiles in epochs
    ]


def _show(axes: Any, tiles: Tiles) -> None:
    """Draw filters as a square of pictures with white lines between them."""
    n, channels, width, _ = tiles.shape
    side = math.ceil(math.sqrt(n))
    gap = max(1, width // 6)
    step = width + gap
    sheet = np.full((side * step - gap, side * step - gap, channels), 255, np.uint8)
    for turn, tile in enumerate(tiles):
        top, left = turn // side * step, turn % side * step
        sheet[top : top + width, left : left + width] = tile.transpose(1, 2, 0)
    axes.imshow(
        sheet if channels == 3 else sheet[:, :, 0], cmap="gray", vmin=0, vmax=255,
        interpolation="nearest",
    )  # fmt: skip

"""The study of deep metric learning: its tables' names, its bar charts, and what lies beneath them.

DL is a network under cross-entropy; DML a vote of the nearest among embeddings. Colours are the
study's: DL purple, DML green, of which one is dark and one light, so that print without colour tells
them apart.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.measure.curves import surface_curves
from bench.measure.published import CLEAN
from bench.report.blocks import Figure
from bench.report.drawing import PUBLISHED, TEXT_WIDTH, canvas, percent_axis, style, to_pdf
from bench.report.findings import Findings
from bench.report.labels import data_name
from bench.report.study import Study
from bench.spec import WHOLE_MODEL_SURFACE, eps_text
from bench.studies.dml.embedding import embedding_figure

_DL_BAR, _DML_BAR = "#9970ab", "#a6dba0"  # pale enough for a whisker in front
_DL, _DML, _SURFACE = "#762a83", "#5aae61", "#1b7837"  # of lines; the thin ones are darker
_ATTACKS = ("pgd", "bim", "fgsm")
_PANELS = (
    ("contrastive", "adam"), ("contrastive", "sgd"), ("triplet", "adam"), ("triplet", "sgd"),
)  # fmt: skip
_FIRST_CHART = {"mnist": 1, "fashion-mnist": 5, "cifar10": 9}
_OPTIMISERS = {"adam": "Adam", "sgd": "SGD"}
_VOTE = "-knn1-cosine"  # of the bar charts
_LINES: dict[str, tuple[Any, str]] = {  # dashes and marker of a surface's line
    "soft-knn": ((0, (4, 1.5)), "s"),
    "nearest-other": ((0, (1, 1)), "^"),
    "metric-loss": ((0, (5, 1.5, 1, 1.5)), "D"),
    WHOLE_MODEL_SURFACE: ("-", "P"),
}
_COLUMNS = 5  # of the legend


def _called(model: str) -> str:
    """Return `contrastive, SGD, k = 1, cosine` for `dml-contrastive-sgd-knn1-cosine`."""
    parts = model.removeprefix("dml-").removeprefix("dl-").replace("cross-entropy", "DL").split("-")
    words = [_OPTIMISERS.get(part, part) for part in parts]
    return ", ".join(word.replace("knn", "k = ") for word in words)


def _shown(model: str) -> bool:
    return model.startswith("dl-") or model.endswith(_VOTE)


def figures(findings: Findings) -> Sequence[Figure]:
    """Return accuracy on each surface, the embedding, and the bar charts of each data set run."""
    beside = findings.beside
    charts = [] if beside is None else [
        _bars(rows, str(data))
        for data, rows in beside.groupby("data", sort=False)
        if rows["ours"].notna().any()
    ]  # fmt: skip
    first = (_surfaces(findings), embedding_figure(findings.results))
    return [*(figure for figure in first if figure is not None), *charts]


# ---- figures 5.1 to 5.12 ----


def _bars(comparison: pd.DataFrame, data: str) -> Figure:
    """Return the four charts of a data set: a loss a row, an optimiser a column."""
    with style():
        figure = canvas(TEXT_WIDTH, 4.05)
        grid = figure.subplots(2, 2, sharey=True)
        for turn, (axes, (loss, optimiser)) in enumerate(zip(grid.flat, _PANELS, strict=True)):
            pair = (f"dl-cross-entropy-{optimiser}", f"dml-{loss}-{optimiser}{_VOTE}")
            _bar_panel(axes, comparison, pair)
            number = f"  (5.{_FIRST_CHART[data] + turn})" if data in _FIRST_CHART else ""
            axes.set_title(f"{loss} loss, {_OPTIMISERS[optimiser]}{number}", fontsize=8, pad=3)
            percent_axis(axes, "accuracy (%)" if turn % 2 == 0 else "", top=103)
        figure.legend(
            handles=[
                Patch(facecolor=_DL_BAR, label="DL, ours"), Patch(facecolor=_DML_BAR, label="DML, ours"),
                Line2D([], [], linestyle="none", label="published", **PUBLISHED),
                Line2D([], [], color="black", linewidth=0.7, label="95 % interval of ours"),
            ],
            loc="outside upper center", ncols=4, frameon=False,
        )  # fmt: skip
        pdf = to_pdf(figure)
    counted = set(comparison.loc[comparison["ours"].notna(), "n"])
    images = f"n = {max(counted)}" if len(counted) == 1 else f"n at most {max(counted)}"
    return Figure(
        name=f"bars-{data}",
        caption=f"{data_name(data)}: accuracy of DL (cross-entropy) and DML (k = 1, cosine) "
        f"under each attack, ours as bars ({images}) and the published figures as diamonds. The "
        "published ε = 14 is shown at both its readings, 14/255 and 1.",
        pdf=pdf,
    )


def _bar_panel(axes: Axes, comparison: pd.DataFrame, pair: tuple[str, str]) -> None:
    """Draw two bars, DL and DML, for clean images and each radius and attack."""
    slots, middles = _slots(comparison)
    for model, colour, shift in zip(pair, (_DL_BAR, _DML_BAR), (-0.2, 0.2), strict=True):
        rows = comparison[comparison["model"] == model].drop_duplicates(["eps", "attack"])
        keys = zip(rows["eps"], rows["attack"], strict=True)
        rows = rows.assign(at=[slots[key] + shift for key in keys])
        done = rows[rows["ours"].notna()]
        if len(rows):  # nothing drawn without clipping upsets the layout
            axes.plot(
                rows["at"], rows["published"], linestyle="none", zorder=4, clip_on=False,
                **PUBLISHED,
            )  # fmt: skip
        if len(done):
            reach = np.abs(done[["low", "high"]].to_numpy(dtype=float).T - done["ours"].to_numpy())
            axes.bar(done["at"], done["ours"], width=0.4, color=colour, linewidth=0, zorder=2)
            axes.errorbar(
                done["at"], done["ours"], yerr=reach, fmt="none", ecolor="black", elinewidth=0.6,
                zorder=3,
            )  # fmt: skip
    axes.set_xticks(
        list(slots.values()),
        ["clean" if attack == CLEAN else attack.upper() for _, attack in slots],
        rotation=90, fontsize=6.5,
    )  # fmt: skip
    axes.tick_params(axis="x", length=0, pad=2)
    for eps, middle in middles.items():
        axes.annotate(
            f"$\\varepsilon$ = {eps}", (middle, 0), (0, -25), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="top", fontsize=7,
        )  # fmt: skip
    axes.set_xlim(-0.8, max(slots.values()) + 0.8)


def _slots(
    comparison: pd.DataFrame,
) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Return where the bars of each radius and attack stand, and the middle of each radius."""
    slots: dict[tuple[str, str], float] = {}
    middles: dict[str, float] = {}
    at = 0.0
    for eps, rows in comparison.groupby("eps", sort=False):
        first = at
        for attack in dict.fromkeys(rows["attack"]):
            slots[str(eps), attack] = at
            at += 1
        if CLEAN not in set(rows["attack"]):
            middles[str(eps)] = (first + at - 1) / 2
        at += 0.6
    return slots, middles


# ---- how real the robustness is ----


def _surfaces(findings: Findings) -> Figure | None:
    """Return accuracy against eps of DL and of DML on each surface; a data set a row."""
    lines, worst = surface_curves(findings.measured.outcomes), findings.measured.curve
    lines, worst = lines[lines["norm"] == "linf"], worst[worst["norm"] == "linf"]
    run = set(worst["model"])
    sets = [
        data for data in dict.fromkeys(findings.data_of[model] for model in worst["model"])
        if any(_titles(data, *panel)[1] in run for panel in _PANELS)
    ]  # fmt: skip
    if not sets:
        return None
    grid = sorted(set(worst["eps"]))
    with style():
        figure = canvas(TEXT_WIDTH, 1.0 + 1.35 * len(sets))
        panels = figure.subplots(len(sets), len(_PANELS), sharex=True, sharey=True, squeeze=False)
        for row, data in zip(panels, sets, strict=True):
            for axes, (loss, optimiser) in zip(row, _PANELS, strict=True):
                _surface_panel(axes, lines, worst, _titles(data, loss, optimiser), grid)
            row[0].set_ylabel(f"{data_name(data)}\naccuracy (%)")
        for axes, (loss, optimiser) in zip(panels[0], _PANELS, strict=True):
            axes.set_title(f"{loss} loss, {_OPTIMISERS[optimiser]}", fontsize=8, pad=3)
        for axes in panels[-1]:
            axes.set_xlabel(r"$\varepsilon$", labelpad=1)
        keys = _keys(set(lines["surface"]))
        columns = len(keys) if len(keys) <= _COLUMNS else math.ceil(len(keys) / 2)
        figure.legend(handles=keys, loc="outside upper center", ncols=columns, frameon=False)
        pdf = to_pdf(figure)
    return Figure(
        name="surfaces",
        caption="Is the robustness of DML real? Accuracy under the strongest attack at each radius, "
        "per image: of DL (cross-entropy), and of DML (k = 1, cosine) where attacks followed only one "
        "surface, and where an image counts as lost as soon as it falls on any of them (bold). "
        "Bands: 95 % Wilson intervals. Steps of the axis are not to scale.",
        pdf=pdf,
    )


def _titles(data: str, loss: str, optimiser: str) -> tuple[str, str]:
    return f"{data}/dl-cross-entropy-{optimiser}", f"{data}/dml-{loss}-{optimiser}{_VOTE}"


def _surface_panel(
    axes: Axes, lines: pd.DataFrame, worst: pd.DataFrame, titles: tuple[str, str], grid: list[float]
) -> None:
    places = {eps: at for at, eps in enumerate(grid)}
    for title, colour, marker in zip(titles, (_DL, _DML), "oX", strict=True):
        line = worst[worst["model"] == title].dropna(subset="accuracy")
        at = [places[eps] for eps in line["eps"]]
        axes.fill_between(
            at, 100 * line["low"], 100 * line["high"], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(at, 100 * line["accuracy"], color=colour, marker=marker, **_BOLD)
    by_surface = lines[lines["model"] == titles[1]].dropna(subset="accuracy")
    for surface, line in by_surface.groupby("surface", sort=False):
        dashes, marker = _LINES.get(str(surface), ("-", "."))
        axes.plot(
            [places[eps] for eps in line["eps"]], 100 * line["accuracy"], color=_SURFACE,
            linestyle=dashes, marker=marker, **_THIN,
        )  # fmt: skip
    if by_surface.empty and titles[0] not in set(worst["model"]):
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", fontsize=7)
    axes.set_xticks(list(places.values()), [_tick(eps) for eps in grid], rotation=90, fontsize=6.5)
    percent_axis(axes, "", step=25)
    axes.set_ylim(-2, 102)


_BOLD: dict[str, Any] = {
    "linewidth": 2.0, "markersize": 4.2, "markeredgewidth": 0.4, "markeredgecolor": "white",
    "zorder": 4,
}  # fmt: skip
_THIN: dict[str, Any] = {
    "linewidth": 0.8, "markersize": 2.8, "markerfacecolor": "white", "markeredgewidth": 0.6,
    "zorder": 5,
}  # fmt: skip


def _tick(eps: float) -> str:
    return "0" if eps == 0 else eps_text(eps)


def _keys(surfaces: Collection[str]) -> list[Line2D]:
    """Return the keys of the lines: of the surfaces, those that attacks of the run followed."""
    bold = [
        Line2D([], [], color=colour, marker=marker, label=label, **_BOLD)
        for colour, marker, label in (
            (_DL, "o", "DL"), (_DML, "X", "DML, worst over surfaces"),
        )
    ]  # fmt: skip
    thin = [
        Line2D(
            [],
            [],
            color=_SURFACE,
            linestyle=dashes,
            marker=marker,
            label=f"DML, {surface}",
            **_THIN,
        )
        for surface, (dashes, marker) in _LINES.items()
        if surface in surfaces
    ]
    return [*bold, *thin]


def _captions() -> dict[str, str]:
    captions = {"5.1": "Deep learning: cross-entropy"}
    for turn, (loss, k) in enumerate(
        (loss, k) for loss in ("contrastive", "triplet") for k in (1, 3, 5)
    ):
        captions[f"5.{turn + 2}"] = f"Deep metric learning: {loss} loss, k = {k}"
    return captions


STUDY = Study(captions=_captions(), called=_called, shown=_shown, brief=True, figures=figures)

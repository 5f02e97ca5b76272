"""Figures of the study of local learning: accuracy against critical eps, curves, repeated trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.measure.radius import measured_radii
from bench.measure.trainings import accuracies, configuration, rule_of
from bench.report import words
from bench.report.figures import TEXT_WIDTH, look, style, to_pdf
from bench.report.radius import radius_figures
from bench.report.studies import Picture
from bench.report.studies.filters import filter_figures
from bench.report.tables import Measured, names
from bench.store.results import Results

_RULES = {"ll": "LL", "bp": "BP"}
_MARKERS = {"ll": "o", "bp": "^"}
_PARTS = {
    "rule": "rule", "K": "$K$", "w": "$w$", "m": "$m$", "p": "$p$", "n": "$n$", "pool": "pool",
    "activation": "activation",
}  # fmt: skip
_ACROSS = 3


def figures(results: Results, measured: Measured, beside: pd.DataFrame) -> Sequence[Picture]:
    """Return filters, accuracy against critical eps, the curves, and repeated trainings."""
    points = _points(results, measured)
    clouds = [
        _cloud(mine, str(attack), turn)
        for turn, (attack, mine) in enumerate(points.groupby("attack", sort=False))
    ]
    spread = _spread(points, beside)
    return [
        *filter_figures(results),
        *clouds,
        *_curves(results, measured),
        *([spread] if spread else []),
    ]


def _points(results: Results, measured: Measured) -> pd.DataFrame:
    """Return a row a model and attack that has a critical eps, with its hyperparameters.

    `model, attack, critical_eps, error, accuracy` (percent, of all clean images), `rule` and the
    others of `_PARTS`, null where a model has none.
    """
    found = measured.radii[measured.radii["refused"] == ""]
    found = found[["model", "attack", "critical_eps", "error"]]
    options = {str(model["model"]): model.get("options") or {} for model in results.models}
    accuracy = accuracies(results)
    points = found.assign(
        accuracy=[accuracy[model] for model in found["model"]],
        rule=[rule_of(model) for model in found["model"]],
    )
    for part in _PARTS:
        if part != "rule":
            known = [options[model].get(part) for model in found["model"]]
            points[part] = pd.Series(
                known, index=found.index, dtype=object
            )  # whole numbers stay so
    return points


# ---- accuracy against critical eps ----


def _cloud(points: pd.DataFrame, attack: str, turn: int) -> Picture:
    """Return a panel for each hyperparameter that the models differ in, with histograms at its edges."""
    differing = [part for part in _PARTS if len(set(points[part].dropna())) > 1] or ["rule"]
    down = -(-len(differing) // _ACROSS)
    with style():
        figure = Figure(figsize=(TEXT_WIDTH, 0.3 + 2.15 * down), layout="constrained")
        cells = figure.subfigures(down, _ACROSS, squeeze=False)
        for part, cell in zip(differing, cells.flat, strict=False):
            _panel(cell, points, part)
        pdf = to_pdf(figure)
    return Picture(
        name=f"accuracy-critical-eps-{turn}",
        caption=f"Clean accuracy against the critical ε under {attack}, a point a trained network "
        f"({len(points)} of them), coloured by each hyperparameter that they differ in; at the edges, "
        "how many networks lie where. Circles: local learning; triangles: back-propagation, which has "
        "no m and p. Bars: standard error of the critical ε (published as figures 9.4 and 9.9).",
        pdf=pdf,
    )


def _panel(cell: Any, points: pd.DataFrame, part: str) -> None:
    axes = cell.subplots()
    above = axes.inset_axes((0, 1.02, 1, 0.18), sharex=axes)
    beside = axes.inset_axes((1.02, 0, 0.16, 1), sharey=axes)
    known = points[points[part].notna()]
    values = sorted(set(known[part]))
    shades = {value: look(turn).colour for turn, value in enumerate(values)}
    for value in values:
        mine = known[known[part] == value]
        for rule, marker in _MARKERS.items():
            of_rule = mine[mine["rule"] == rule]
            axes.errorbar(
                of_rule["critical_eps"], of_rule["accuracy"], xerr=of_rule["error"],
                color=shades[value], marker=marker, **_POINT,
            )  # fmt: skip
    _histogram(above, known, "critical_eps", part, shades, "vertical")
    _histogram(beside, known, "accuracy", part, shades, "horizontal")
    axes.set_xlabel(r"critical $\varepsilon$", labelpad=1)
    axes.set_ylabel("accuracy (%)", labelpad=1)
    axes.locator_params(axis="x", nbins=4)
    axes.margins(0.12)
    axes.spines[["top", "right"]].set_visible(False)
    keys = [
        Line2D([], [], linestyle="none", marker="s", markersize=3.5, color=shades[value],
               label=_RULES.get(str(value), str(value)))
        for value in values
    ]  # fmt: skip
    above.set_title(_PARTS[part], fontsize=8, loc="left", pad=2)
    above.legend(
        handles=keys, loc="lower right", bbox_to_anchor=(1.18, 0.98), ncols=len(keys), frameon=False,
        handletextpad=0, columnspacing=0.5, borderpad=0, fontsize=6.5,
    )  # fmt: skip


_POINT: dict[str, Any] = {
    "linestyle": "none", "markersize": 3.6, "markeredgecolor": "white", "markeredgewidth": 0.4,
    "elinewidth": 0.6,
}  # fmt: skip


def _histogram(
    axes: Axes, known: pd.DataFrame, column: str, part: str, shades: Mapping[Any, Any], way: Any
) -> None:
    """Draw how many networks of each value lie where, one value upon the other."""
    edges = np.histogram_bin_edges(known[column], bins=10)
    axes.hist(
        [known.loc[known[part] == value, column] for value in shades], bins=list(edges),
        stacked=True, color=list(shades.values()), orientation=way, edgecolor="white", linewidth=0.3,
    )  # fmt: skip
    axes.axis("off")


# ---- the curves ----


def _curves(results: Results, measured: Measured) -> list[Picture]:
    """Return the measured and the fitted accuracy of each configuration's first training."""
    found = measured.radii
    found = found[[configuration(model) == model for model in found["model"]]]
    drawn = radius_figures(found, measured_radii(results), names(results))
    return [
        Picture(name=f"radius-{turn}", caption=one.caption, pdf=one.pdf, wide=one.wide)
        for turn, one in enumerate(drawn)
    ]


# ---- repeated trainings ----


def _spread(points: pd.DataFrame, beside: pd.DataFrame) -> Picture | None:
    """Return how far trainings of one configuration differ; None where none was repeated."""
    points = points.assign(configuration=[configuration(model) for model in points["model"]])
    counts = points.groupby("configuration", sort=False)["model"].nunique()
    shown = [str(name) for name in counts.index[counts > 1]]
    if not shown:
        return None
    attacks = list(points["attack"].unique())
    once = points.drop_duplicates("model")
    panels = [("accuracy (%)", "accuracy", once, None)]
    panels += [
        (rf"critical $\varepsilon$, {attack}", "critical_eps", points[points["attack"] == attack],
         attack)
        for attack in attacks
    ]  # fmt: skip
    with style():
        figure = Figure(figsize=(TEXT_WIDTH, 2.2), layout="constrained")
        for axes, (title, column, mine, attack) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
        ):
            for turn, name in enumerate(shown):
                own = mine.loc[mine["configuration"] == name, column].to_numpy()
                _strip(axes, turn, own, _published(beside, name, column, attack))
            axes.set_xticks(range(len(shown)), [_RULES.get(rule_of(name), name) for name in shown])
            axes.set_xlim(-0.6, len(shown) - 0.4)
            axes.set_ylabel(title)
            axes.spines[["top", "right"]].set_visible(False)
        pdf = to_pdf(figure)
    said = ", ".join(f"{name} ({words.plural(int(counts[name]), 'training')})" for name in shown)
    return Picture(
        name="trainings",
        caption=f"Repeated trainings of one configuration: {said}. Dots: trainings that differ in "
        "their seed alone; bars: their mean and standard deviation; diamonds: the published mean.",
        pdf=pdf,
    )


def _strip(axes: Axes, turn: int, own: np.ndarray[Any, Any], published: float | None) -> None:
    colour = look(turn).colour
    apart = 0.16 * (np.arange(len(own)) - (len(own) - 1) / 2) / max(len(own) - 1, 1)
    axes.plot(turn - 0.15 + apart, own, linestyle="none", marker="o", color=colour, alpha=0.8)
    if len(own) > 1:
        axes.errorbar(
            turn + 0.15, own.mean(), yerr=own.std(ddof=1), color="black", marker="_", capsize=2.5,
            linewidth=0.8, markersize=8,
        )  # fmt: skip
    if published is not None:
        axes.plot(
            turn + 0.32, published, marker="D", markersize=3.4, markerfacecolor="white",
            markeredgecolor="black", markeredgewidth=0.6, linestyle="none",
        )  # fmt: skip


def _published(beside: pd.DataFrame, name: str, column: str, attack: str | None) -> float | None:
    data, _, model = name.partition("/")
    mine = beside[(beside["data"] == data) & (beside["model"] == model)]
    mine = mine[mine["metric"] == column]
    mine = mine if attack is None else mine[mine["attack"] == attack]
    return None if mine.empty else float(mine["published"].iloc[0])

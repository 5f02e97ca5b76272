"""Figures of the study of local learning: accuracy against critical eps, curves, repeated trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.measure.radius import measured_radii
from bench.report import formatting
from bench.report.blocks import Figure
from bench.report.drawing import PUBLISHED, TEXT_WIDTH, canvas, look, style, to_pdf
from bench.report.findings import Findings
from bench.report.legends import MOST
from bench.report.sections.radius import radius_figures
from bench.spec import configuration
from bench.studies.local_learning.filters import filter_figures
from bench.studies.local_learning.repeated_runs import accuracies, rule_of

_RULES = {"ll": "LL", "bp": "BP"}
_MARKERS = {"ll": "o", "bp": "^"}


def figures(findings: Findings) -> Sequence[Figure]:
    """Return filters, accuracy against critical eps, the curves, and repeated trainings."""
    beside = findings.beside
    if beside is None:
        return []
    points = _points(findings)
    spread = _spread(points, beside)
    return [
        *filter_figures(findings.results),
        *([] if points.empty else [_cloud(points, beside)]),
        *_curves(findings),
        *([spread] if spread else []),
    ]


def _points(findings: Findings) -> pd.DataFrame:
    """Return a row a model and attack that has a critical eps.

    `model, attack, critical_eps, error, accuracy` (percent, of all clean images), `rule`,
    `configuration`.
    """
    found = findings.measured.radii
    found = found[found["refused"] == ""]
    found = found[["model", "attack", "critical_eps", "error"]]
    accuracy = accuracies(findings.measured.outcomes)
    return found.assign(
        accuracy=[accuracy[model] for model in found["model"]],
        rule=[rule_of(model) for model in found["model"]],
        configuration=[configuration(model) for model in found["model"]],
    )


# ---- accuracy against critical eps ----


def _cloud(points: pd.DataFrame, beside: pd.DataFrame) -> Figure:
    """Return a panel an attack, with a point a network and the published ones."""
    named = list(dict.fromkeys(points["configuration"]))
    # Of more configurations than a legend has room for, only the rules are told apart.
    few = len(named) < MOST
    keyed = named if few else [rule for rule in _RULES if rule in set(points["rule"])]
    looks = {name: look(turn).colour for turn, name in enumerate(keyed)}
    colours = points["configuration" if few else "rule"].map(looks)
    attacks = list(dict.fromkeys(points["attack"]))
    with style():
        figure = canvas(TEXT_WIDTH, 2.6 + 0.13 * (len(keyed) + 1) / 2)
        row = np.atleast_1d(figure.subplots(1, len(attacks), sharex=True, sharey=True))
        for axes, attack in zip(row, attacks, strict=True):
            shown = points[points["attack"] == attack]
            _panel(axes, shown.assign(colour=colours[shown.index]), beside)
            axes.set_title(attack, fontsize=8, pad=3)
        row[0].set_ylabel("accuracy (%)")
        _legend(figure, points, looks)
        pdf = to_pdf(figure)
    coloured = "a colour a configuration" if few else "coloured by the rule"
    return Figure(
        name="accuracy-critical-eps",
        caption=f"Clean accuracy against the critical ε under each attack, a point a trained network, {coloured}. "
        "Circles: local learning; triangles: back-propagation. Bars: standard error of the critical ε. "
        "Lines lead from the published figures of a configuration to ours (published as figures 9.4 and 9.9).",
        pdf=pdf,
    )


def _panel(axes: Axes, points: pd.DataFrame, beside: pd.DataFrame) -> None:
    for point in points.to_dict("records"):
        axes.errorbar(
            point["critical_eps"], point["accuracy"], xerr=point["error"], color=point["colour"],
            marker=_MARKERS[point["rule"]], **_POINT,
        )  # fmt: skip
    for name, group in points.groupby("configuration", sort=False):
        attack = str(group["attack"].iloc[0])
        found = [_published(beside, str(name), column, attack) for column in _MEASURES]
        there = [value for value in found if value is not None]
        if len(there) == len(_MEASURES):
            ours = [group[column].mean() for column in _MEASURES]
            colour = group["colour"].iloc[0]
            axes.plot(*zip(there, ours, strict=True), color=colour, linewidth=0.5, zorder=1)
            axes.plot(*there, linestyle="none", zorder=4, **PUBLISHED)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda eps, _: f"{eps:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(r"critical $\varepsilon$ (pixels in [0, 1])")
    axes.margins(0.12)
    axes.grid(linewidth=0.3, color="0.9", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Canvas, points: pd.DataFrame, looks: Mapping[str, Any]) -> None:
    keys = [
        Line2D([], [], linestyle="none", marker=_MARKERS.get(name, _MARKERS.get(rule_of(name), "s")),
               color=colour, markersize=3.6, label=_RULES.get(name, name.partition("/")[2]))
        for name, colour in looks.items()
    ]  # fmt: skip
    keys.append(Line2D([], [], linestyle="none", label="published", **PUBLISHED))
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)


_MEASURES = ("critical_eps", "accuracy")
_POINT: dict[str, Any] = {
    "linestyle": "none", "markersize": 4.2, "markeredgecolor": "white", "markeredgewidth": 0.4,
    "elinewidth": 0.6, "zorder": 3,
}  # fmt: skip


# ---- the curves ----


def _curves(findings: Findings) -> list[Figure]:
    """Return the measured and the fitted accuracy of each configuration's first training."""
    found = findings.measured.radii
    found = found[[configuration(model) == model for model in found["model"]]]
    drawn = radius_figures(found, measured_radii(findings.results), findings.attack_names)
    return [replace(figure, name=f"radius-{turn}") for turn, figure in enumerate(drawn)]


# ---- repeated trainings ----


def _spread(points: pd.DataFrame, beside: pd.DataFrame) -> Figure | None:
    """Return how far trainings of one configuration differ; None where none was repeated."""
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
        figure = canvas(TEXT_WIDTH, 2.2)
        for axes, (title, column, panel, attack) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
        ):
            for turn, name in enumerate(shown):
                own = panel.loc[panel["configuration"] == name, column].to_numpy()
                _strip(axes, turn, own, _published(beside, name, column, attack))
            axes.set_xticks(range(len(shown)), [_RULES.get(rule_of(name), name) for name in shown])
            axes.set_xlim(-0.6, len(shown) - 0.4)
            axes.set_ylabel(title)
            axes.spines[["top", "right"]].set_visible(False)
        pdf = to_pdf(figure)
    repeated = ", ".join(
        f"{name} ({formatting.plural(int(counts[name]), 'training')})" for name in shown
    )
    return Figure(
        name="trainings",
        caption=f"Repeated trainings of one configuration: {repeated}. Dots: trainings that differ in "
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
        axes.plot(turn + 0.32, published, linestyle="none", **PUBLISHED)


def _published(beside: pd.DataFrame, name: str, column: str, attack: str | None) -> float | None:
    data, _, model = name.partition("/")
    found = beside[(beside["data"] == data) & (beside["model"] == model)]
    found = found[found["metric"] == column]
    found = found if attack is None else found[found["attack"] == attack]
    return None if found.empty else float(found["published"].iloc[0])

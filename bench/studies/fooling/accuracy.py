"""Accuracy against eps under FGSM: figure 12.2 of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.report.blocks import Figure
from bench.report.drawing import NORM, TEXT_WIDTH, canvas, percent_axis, style, to_pdf
from bench.report.findings import Findings
from bench.spec import number
from bench.studies.fooling.selection import (
    architecture,
    counted,
    find_cells,
    look_of,
    models_with,
    published_figure,
)

_OURS, _EXACT, _PRINTED = "FGSM, ours", "along the sign, ours", "FGSM, published"
_COLUMNS = ["model", "eps", "accuracy", "low", "high", "n"]


def accuracy_under_fgsm(findings: Findings) -> pd.DataFrame:
    """Return accuracy under FGSM as the study made it, on logits, at every eps of the run.

    Returns:
        `model, eps, accuracy, low, high` (95 % Wilson), `n`; of each model first eps 0, the clean
        accuracy on the same images.
    """
    outcomes = findings.measured.outcomes
    cells = _fgsm_cells(findings)
    points = []
    for model in models_with(findings.results, cells):
        of_model = cells[cells["model"] == model].sort_values("radius")
        group = outcomes.group(of_model["cell"])
        keys = list(of_model["cell"])
        points.append({"model": model, "eps": 0.0, **group.within(0.0, keys).figures()})
        for cell, eps in zip(keys, of_model["radius"], strict=True):
            alone = outcomes.group([cell]).within(eps, [cell])
            points.append({"model": model, "eps": float(eps), **alone.figures()})
    return pd.DataFrame(points, columns=_COLUMNS)


def _fgsm_cells(findings: Findings) -> pd.DataFrame:
    """Return the cells of FGSM on logits, or those on the cross-entropy where the run has no other."""
    results, wanted = findings.results, {"norm": "linf", "targeted": "none"}
    logit = find_cells(results, "fgsm", {**wanted, "loss": "logit"})
    return logit if len(logit) else find_cells(results, "fgsm", wanted)


def accuracy_along_the_sign(findings: Findings) -> pd.DataFrame:
    """Return the share of images with the right label up to eps along the sign of the gradient.

    Returns:
        `model, eps, accuracy, low, high, n`: of each model a point wherever an image loses its label.
    """
    outcomes = findings.measured.outcomes
    cells = find_cells(findings.results, "fgsm-radius", {"norm": "linf"})
    points = []
    for model in models_with(findings.results, cells):
        cell = str(cells.loc[cells["model"] == model, "cell"].iloc[0])
        group = outcomes.group([cell])
        for eps in (0.0, *np.unique(group.least[np.isfinite(group.least) & (group.least > 0)])):
            points.append(
                {"model": model, "eps": float(eps), **group.within(float(eps), [cell]).figures()}
            )
    return pd.DataFrame(points, columns=_COLUMNS)


def published_accuracy(models: Sequence[str]) -> pd.DataFrame:
    """Return the accuracy that follows from the published tables: clean, times the share not fooled.

    Returns:
        `model, eps, accuracy`, of the models whose network was published.
    """
    points = []
    for model in models:
        clean = published_figure("11.4", model, "accuracy") / 100
        points.append({"model": model, "eps": 0.0, "accuracy": clean})
        for eps in ("0.01", "0.05", "0.1"):
            held = 1 - published_figure("12.1", model, "fooling_rate", eps) / 100
            points.append({"model": model, "eps": number(eps), "accuracy": clean * held})
    return pd.DataFrame(points, columns=["model", "eps", "accuracy"]).dropna()


def accuracy_figure(findings: Findings) -> Figure | None:
    """Return accuracy against eps: under FGSM, along its direction, and as published."""
    ours, exact = accuracy_under_fgsm(findings), accuracy_along_the_sign(findings)
    models = list(dict.fromkeys([*ours["model"], *exact["model"]]))
    if not models:
        return None
    # Of several networks of an architecture the first stands for the published one.
    firsts = {architecture(model): model for model in reversed(models)}
    printed = published_accuracy([model for model in models if model in firsts.values()])
    drawn = {_OURS: ours, _EXACT: exact, _PRINTED: printed}
    panels = {title: points for title, points in drawn.items() if len(points)}
    with style():
        figure = canvas(TEXT_WIDTH, 2.3 if len(models) <= 4 else 2.45)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for letter, one, (title, points) in zip("abc", axes, panels.items(), strict=False):
            for model, line in points.groupby("model", sort=False):
                _draw_accuracy(one, line, findings, str(model), steps=points is exact)
            one.set_title(f"({letter}) {title}", fontsize=8, loc="left", pad=3)
            _eps_axis(one)
            percent_axis(one, "accuracy (%)" if one is axes[0] else "")
        figure.legend(
            handles=[_key(findings, model) for model in models], loc="outside upper center",
            ncols=len(models) if len(models) <= 4 else 3, frameon=False, handlelength=2.6, columnspacing=1.4,
        )  # fmt: skip
        pdf = to_pdf(figure)
    return Figure(name="accuracy-eps", pdf=pdf, caption=_caption(findings, panels))


def _caption(findings: Findings, panels: Mapping[str, pd.DataFrame]) -> str:
    on_logits = set(_fgsm_cells(findings)["loss"]) == {"logit"}
    climbed = "the logit of the class, as in the study" if on_logits else "the cross-entropy"
    said = {
        _OURS: f"accuracy under FGSM on {climbed}, at each eps of the run (bars: 95 % Wilson intervals)",
        _EXACT: "share of images that keep their label up to eps along the sign of the gradient of the "
        "cross-entropy, found by bisection",
        _PRINTED: "accuracy under FGSM that follows from the published clean accuracy and fooling rates",
    }
    letters = "; ".join(
        f"({letter}) {said[title]}" + (f", n = {counted(points['n'])}" if "n" in points else "")
        for letter, (title, points) in zip("abc", panels.items(), strict=False)
    )
    return (
        f"Accuracy against the linf radius eps, of all images: {letters}. The axis is linear up to 0.005, then "
        "logarithmic. Figure 12.2 of the study."
    )


def _draw_accuracy(
    axes: Axes, line: pd.DataFrame, findings: Findings, model: str, *, steps: bool
) -> None:
    own = look_of(findings.results, model)
    eps, height = line["eps"].to_numpy(float), 100 * line["accuracy"].to_numpy(float)
    if steps:
        axes.step(eps, height, where="post", color=own.colour, linestyle=own.dashes)
        return
    axes.plot(
        eps, height, color=own.colour, linestyle=own.dashes, linewidth=0.8, marker=own.marker,
        markeredgecolor="white", markeredgewidth=0.4, clip_on=False, zorder=3,
    )  # fmt: skip
    if "low" in line:
        axes.vlines(eps, 100 * line["low"], 100 * line["high"], color=own.colour, linewidth=0.7)


def _eps_axis(axes: Axes) -> None:
    axes.set_xscale("symlog", linthresh=0.005, linscale=0.4)
    axes.set_xlim(0, 0.5)
    ticks = ("0", "0.005", "0.01", "0.05", "0.1", "0.3")
    axes.set_xticks(
        [number(tick) for tick in ticks], [tick.removeprefix("0") or "0" for tick in ticks]
    )
    axes.minorticks_off()
    axes.set_xlabel(f"{NORM['linf']} radius $\\varepsilon$")


def _key(findings: Findings, model: str) -> Line2D:
    own = look_of(findings.results, model)
    return Line2D(
        [], [], color=own.colour, linestyle=own.dashes, marker=own.marker, markeredgecolor="white",
        markeredgewidth=0.4, label=findings.called(model),
    )  # fmt: skip

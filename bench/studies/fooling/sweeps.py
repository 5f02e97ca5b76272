"""What an attack does as one of its settings grows: figures 12.10, 12.12, 12.23 and 12.25 of the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from bench.report.blocks import Figure
from bench.report.drawing import NORM, PUBLISHED, TEXT_WIDTH, canvas, percent_axis, style, to_pdf
from bench.report.findings import Findings
from bench.spec import number
from bench.studies.fooling.selection import (
    PUBLISHED_NAMES,
    RESNET,
    architecture,
    counted,
    find_cells,
    network,
    published_figure,
)

_DARK, _PALE = "#2b5c8a", "#d07a1f"
_DOTS: Mapping[str, Any] = {
    "marker": "o", "markeredgecolor": "white", "markeredgewidth": 0.4, "clip_on": False, "zorder": 3,
}  # fmt: skip
_PUBLISHED: Mapping[str, Any] = {**PUBLISHED, "linestyle": "none", "clip_on": False, "zorder": 4}
_FIGURES = ("attacked", "fooling", "low", "high", "confidence_fooled", "iterations", "delta_l2",
            "median_pixels", "median_values")  # fmt: skip
#: The study's radii are of images divided by their standard deviation, of about a fifth.
_NORMALISED = 5


# ---- SparseFool against lambda and delta: figures 12.10 and 12.12 ----


def lambda_sweep(findings: Findings) -> pd.DataFrame:
    """Return figures of SparseFool on one network, ResNet-50 where it was run, a row a lambda.

    Returns:
        `model, at` (lambda) and the figures of `bench.measure.perturbations`; empty for fewer than two.
    """
    return _sweep(findings, find_cells(findings.results, "sparsefool", {"box": 1}), "lambda")


def box_sweep(findings: Findings) -> pd.DataFrame:
    """Return the same by how far a value may move, `at` (delta) in 255ths."""
    found = _sweep(findings, find_cells(findings.results, "sparsefool", {"lambda": 3}), "box")
    return found.assign(at=(255 * found["at"]).round(3))


def _sweep(findings: Findings, cells: pd.DataFrame, parameter: str) -> pd.DataFrame:
    measured = findings.measured.perturbations
    cells = cells[cells["cell"].isin(measured["cell"])]
    model = network(findings.results, cells, RESNET)
    cells = cells[cells["model"] == model]
    cells = cells.assign(at=[number(value) for value in cells.get(parameter, ())])
    found = cells[["cell", "model", "at"]].merge(measured[["cell", *_FIGURES]], on="cell")
    return found.sort_values("at").head(len(found) if len(found) > 1 else 0)


def lambda_figure(findings: Findings) -> Figure | None:
    """Return four panels against lambda: fooling, confidence, share changed, iterations."""
    found = lambda_sweep(findings)
    if found.empty:
        return None
    model = str(found["model"].iloc[0])
    with style():
        figure = canvas(TEXT_WIDTH, 1.6)
        rate, sure, share, loops = figure.subplots(1, 4)
        _rates(rate, found, "")
        sure.plot(found["at"], 100 * found["confidence_fooled"], color=_DARK, **_DOTS)
        _shares(share, found)
        loops.plot(found["at"], found["iterations"], color=_DARK, **_DOTS)
        for axes, metric, title in (
            (rate, "fooling_rate", "fooled (%)"),
            (sure, "", "mean confidence (%)"),
            (share, "median_pixels_perturbed", "median share changed (%)"),
            (loops, "mean_iterations", "mean iterations"),
        ):
            axes.plot([3], [published_figure("12.6", model, metric)], **_PUBLISHED)
            _label(axes, r"$\lambda$", title)
            # 1 and 1.5 are too near for a label each.
            axes.set_xticks(
                list(found["at"]), [f"{at:g}" if at % 1 == 0 else "" for at in found["at"]]
            )
        share.set_ylim(0, 1.45 * share.get_ylim()[1])  # room for the legend
        loops.set_ylim(0, None)
        pdf = to_pdf(figure)
    return Figure(
        name="sparsefool-lambda",
        caption=f"SparseFool on {findings.called(model)} against lambda, how far beyond the boundary it aims "
        f"(n = {counted(found['attacked'])}): share fooled with 95 % Wilson intervals, mean confidence in the wrong "
        "label, median shares of pixels and of channel values that change, mean iterations. "
        f"{_diamonds(model, 'at lambda 3 (share of channel values)')}Figure 12.10 of the study.",
        pdf=pdf,
    )


def box_figure(findings: Findings) -> Figure | None:
    """Return two panels against delta: median share changed, and mean l2 norm."""
    found = box_sweep(findings)
    if found.empty:
        return None
    model = str(found["model"].iloc[0])
    with style():
        figure = canvas(TEXT_WIDTH, 1.5)
        share, size = figure.subplots(1, 2)
        _shares(share, found)
        size.plot(found["at"], found["delta_l2"], color=_DARK, **_DOTS)
        for axes, metric, title in (
            (share, "median_pixels_perturbed", "median share changed (%)"),
            (size, "mean_l2", f"mean {NORM['l2']} norm"),
        ):
            axes.plot([255], [published_figure("12.6", model, metric)], **_PUBLISHED)
            _label(axes, r"$\delta$ (in 255ths)", title)
            axes.set_ylim(0, None)
            axes.set_xticks(list(found["at"]), [f"{at:g}" for at in found["at"]])
        pdf = to_pdf(figure)
    return Figure(
        name="sparsefool-delta",
        caption=f"SparseFool on {findings.called(model)} against delta, how far a channel value may move (n = "
        f"{counted(found['attacked'])}): median shares of pixels and of channel values that change, and mean l2 "
        "norm of the perturbation. "
        f"{_diamonds(model, 'at delta 255 (share of channel values)')}Figure 12.12 of the study.",
        pdf=pdf,
    )


def _shares(axes: Axes, found: pd.DataFrame) -> None:
    """Draw the median shares of pixels and of channel values that change."""
    for column, title, colour, marker in (
        ("median_pixels", "pixels", _DARK, "o"),
        ("median_values", "channel values", _PALE, "s"),
    ):
        own = {**_DOTS, "marker": marker, "color": colour, "label": title}
        axes.plot(found["at"], 100 * found[column], linestyle="-" if marker == "o" else "--", **own)
    axes.legend(frameon=False, handlelength=2, loc="best")


# ---- universal perturbations against xi and |X|: figures 12.23 and 12.25 ----


def xi_sweep(findings: Findings) -> pd.DataFrame:
    """Return how often universal perturbations of one network fool, a row a norm and radius.

    Returns:
        `model, norm, at` (xi, of [0, 1]), `asked` (images of the fit), and `fit_fooling, attacked, fooling,
        low, high` of `bench.measure.perturbations`; at the size of the fit that has the most radii.
    """
    cells = _universal(findings)
    sizes = cells.groupby("asked")["radius"].nunique()
    if cells.empty:
        return cells
    cells = cells[cells["asked"] == sizes.idxmax()]
    found = cells.assign(at=cells["radius"]).sort_values(["norm", "at"])
    several = found.groupby("norm")["at"].transform("nunique") > 1
    return found[several]


def fit_sweep(findings: Findings) -> pd.DataFrame:
    """Return the same by the size of the fit, `at`, at the norm and radius that has the most sizes."""
    cells = _universal(findings)
    if cells.empty:
        return cells
    sizes = cells.groupby(["norm", "radius"])["asked"].nunique()
    cells = cells[[at == sizes.idxmax() for at in zip(cells["norm"], cells["radius"], strict=True)]]
    found = cells.assign(at=cells["asked"]).sort_values("at")
    return found.head(len(found) if len(found) > 1 else 0)


def _universal(findings: Findings) -> pd.DataFrame:
    """Return the universal perturbations of one network on its own, with the figures of fit and test."""
    results, measured = findings.results, findings.measured.perturbations
    cells = find_cells(results, "universal", {"fitted_on": "itself"})
    cells = cells[cells["cell"].isin(measured["cell"])]
    model = network(results, cells, RESNET)
    cells = cells[cells["model"] == model]
    cells = cells.assign(asked=[int(str(fit).split()[1]) for fit in cells["fit"]])
    figures = measured[["cell", "fit_fooling", "attacked", "fooling", "low", "high"]]
    return cells[["cell", "model", "norm", "radius", "asked"]].merge(figures, on="cell")


def universal_figure(findings: Findings) -> Figure | None:
    """Return fooling on the fit set and on the test set: against xi in each norm, and against |X|."""
    by_xi, by_size = xi_sweep(findings), fit_sweep(findings)
    panels = [
        *((str(norm), rows) for norm, rows in by_xi.groupby("norm") if len(rows)),
        *((("size", by_size),) if len(by_size) else ()),
    ]
    if not panels:
        return None
    with style():
        figure = canvas(TEXT_WIDTH, 2.35)
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for letter, axes, (name, rows) in zip("abc", every, panels, strict=False):
            _rates(axes, rows, "test images, ours")
            axes.plot(rows["at"], 100 * rows["fit_fooling"], color=_PALE, linestyle="--",
                      label="images of the fit, ours", **{**_DOTS, "marker": "s"})  # fmt: skip
            _published_fooling(axes, name, rows)
            _universal_axis(axes, name, letter, rows)
            percent_axis(axes, "fooled (%)" if letter == "a" else "")
        handles, names = every[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside upper center", ncols=4, frameon=False, handlelength=2
        )
        pdf = to_pdf(figure)
    return Figure(
        name="universal-sweeps", caption=_universal_caption(findings, by_xi, by_size), pdf=pdf
    )


def _published_fooling(axes: Axes, name: str, rows: pd.DataFrame) -> None:
    """Draw the published rates of this network, on all test images and on those of the fit."""
    table, at = {"l2": ("12.8", 3.0), "linf": ("12.9", 0.1), "size": ("12.8", 1000)}[name]
    model = str(rows["model"].iloc[0])
    for metric, fill, title in (
        ("fooling_rate", "white", "test images, published"),
        ("fooling_rate_on_fit_set", "0.6", "images of the fit, published"),
    ):
        own = {**_PUBLISHED, "markerfacecolor": fill, "label": title}
        axes.plot([at], [published_figure(table, model, metric)], **own)


def _universal_axis(axes: Axes, name: str, letter: str, rows: pd.DataFrame) -> None:
    if name == "size":
        ticks = sorted({*rows["at"], 1000})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("images of the fit, |X|")
    else:
        axes.set_xlim(0, None)
        axes.set_xticks([0, *rows["at"]], ["0", *(f"{at:g}" for at in rows["at"])])
        axes.set_xlabel(f"{NORM[name]} radius $\\xi$")
        above = axes.secondary_xaxis("top", functions=(_normalised, _of_one))
        above.set_xlabel("in the units of the study", fontsize=7)
        above.tick_params(labelsize=6.5, pad=1)
    axes.set_title(f"({letter})", fontsize=8, loc="left", y=1.18)


def _normalised(at: Any) -> Any:
    return _NORMALISED * at


def _of_one(at: Any) -> Any:
    return at / _NORMALISED


def _universal_caption(findings: Findings, by_xi: pd.DataFrame, by_size: pd.DataFrame) -> str:
    rows = pd.concat([by_xi, by_size])
    parts = []
    if len(by_xi):
        parts.append(
            f"against the radius xi of the perturbation, fitted on {by_xi['asked'].iloc[0]} training images"
        )
    if len(by_size):
        norm, radius = by_size["norm"].iloc[0], by_size["radius"].iloc[0]
        parts.append(f"against the number of images of the fit, at {norm} {radius:g}")
    numbers = [number for number, of in (("12.23", by_xi), ("12.25", by_size)) if len(of)]
    model = str(rows["model"].iloc[0])
    printed = _diamonds(model, "fitted on 1,000 test images, of all 10,000 test images")
    return (
        f"Universal perturbations of {findings.called(model)}: share fooled of the images of the fit, and of "
        f"n = {counted(rows['attacked'])} test images, of those classified right (bars: 95 % Wilson intervals); "
        f"{'; '.join(parts)}. {printed}{'Figures' if len(numbers) > 1 else 'Figure'} {' and '.join(numbers)} of "
        "the study."
    )


# ---- parts of all of them ----


def _rates(axes: Axes, found: pd.DataFrame, label: str) -> None:
    """Draw shares of images fooled with their Wilson intervals."""
    at, height = found["at"], 100 * found["fooling"]
    axes.vlines(at, 100 * found["low"], 100 * found["high"], color=_DARK, linewidth=0.7)
    axes.plot(at, height, color=_DARK, label=label, **_DOTS)


def _diamonds(model: str, how: str) -> str:
    """Return what the diamonds are; nothing of a network that the study has no figures of."""
    if architecture(model) not in PUBLISHED_NAMES:
        return ""
    return f"Diamonds: published, of the network in its full width, {how}. "


def _label(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(axis="y", linewidth=0.3, color="0.85", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)

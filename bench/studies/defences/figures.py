"""Figures of the study of defences: certified accuracy, and accuracy under attack beside the published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.measure.published import CLEAN
from bench.measure.validity import ONE_DRAW
from bench.report.blocks import Figure
from bench.report.drawing import NORM, PUBLISHED, TEXT_WIDTH, canvas, percent_axis, style, to_pdf
from bench.report.findings import Findings
from bench.report.measured import Measured
from bench.report.sections.certified import draw_certified, markers
from bench.spec import ONE_DRAW_SURFACE, number
from bench.store.results import Results

_SHORT = {
    "basic": "basic", "noisy": "noise", "pgd-l2-at": "PGD-$\\ell_2$",
    "pgd-linf-at": "PGD-$\\ell_\\infty$", "mixed-at": "mixed", "randomized-smoothing": "smoothed",
}  # fmt: skip
_STUDY, _WORST = "#a6bddb", "#2b5c8a"
_HATCH = "/////"


def figures(findings: Findings) -> Sequence[Figure]:
    """Return the certified accuracy of the smoothed models, and every model under each threat."""
    found = [_certified(findings.results, findings.measured)]
    if findings.beside is not None:
        found.append(_bars(findings.measured, findings.beside))
    return [figure for figure in found if figure is not None]


# ---- figure 1 ----


def _certified(results: Results, measured: Measured) -> Figure | None:
    """Return the curves for several numbers of copies, and those for several sigma."""
    points = measured.certified
    if points.empty:
        return None
    copies = {
        cell["cell"]: int(cell["parameters"].get("n", 0))
        for cell in results.cells.to_dict("records")
    }
    cells = points.drop_duplicates("cell")[["cell", "model"]].assign(
        sigma=lambda frame: frame["model"].map(
            {model["model"]: model["sigma"] for model in results.models}
        ),
        n=lambda frame: frame["cell"].map(copies),
    )
    # Of the copies the sigma that was certified with the most numbers, of sigma the reverse.
    own, most = _commonest(cells, "sigma", "n"), int(_commonest(cells, "n", "sigma"))
    panels = (
        ("(a)", cells[cells["sigma"] == own].sort_values("n"), "n", "N = {:,}"),
        ("(b)", cells[cells["n"] == most].sort_values("sigma"), "sigma", "σ = {:g}"),
    )
    with style():
        figure = canvas(TEXT_WIDTH, 2.5)
        for axes, (letter, panel, column, title) in zip(
            figure.subplots(1, 2, sharey=True), panels, strict=True
        ):
            lines = pd.concat([points[points["cell"] == key] for key in panel["cell"]])
            bounds = (
                measured.certified_bounds
                if column == "sigma"
                else measured.certified_bounds.head(0)
            )
            titles = {
                str(row.cell): title.format(getattr(row, column)) for row in panel.itertuples()
            }
            draw_certified(axes, lines, bounds, titles)
            axes.set_title(letter, fontsize=8, loc="left", pad=3)
        pdf = to_pdf(figure)
    counted = int(points["n"].max())
    return Figure(
        name="certified",
        caption=f"Randomized smoothing: share of images (n = {counted} at most) that are certified within "
        f"the radius, (a) by the number N of noisy copies, at σ = {own:g}; (b) by the standard deviation "
        f"σ of the noise, at N = {most:,}. {markers(measured.certified_bounds)} Published as figure 1, without "
        "figures to compare.",
        pdf=pdf,
    )


def _commonest(cells: pd.DataFrame, column: str, other: str) -> float:
    """Return the value of a column that has the most values of another; of several the largest."""
    counts = cells.groupby(column)[other].nunique()
    return float(counts.index[counts == counts.max()].max())


# ---- table 1 ----


def _bars(measured: Measured, beside: pd.DataFrame) -> Figure | None:
    """Return a panel a threat: each model under the study's attack, and under all attacks."""
    attacked = beside[(beside["attack"] != CLEAN) & beside["ours"].notna()]
    if attacked.empty:
        return None
    threats = list(attacked[["norm", "eps"]].drop_duplicates().itertuples(index=False, name=None))
    down = -(-len(threats) // 2)
    with style():
        figure = canvas(TEXT_WIDTH, 0.5 + 1.75 * down)
        grid = figure.subplots(down, 2, sharey=True, squeeze=False)
        for axes, (norm, eps) in zip(grid.flat, threats, strict=False):
            rows = beside[(beside["norm"] == norm) & (beside["eps"] == eps)]
            _threat_panel(axes, rows[rows["attack"] == rows["attack"].iloc[-1]], measured.headline)
            axes.set_title(f"{NORM[norm]}, $\\varepsilon$ = {eps}", fontsize=8, pad=3)
        for axes in list(grid.flat)[len(threats) :]:
            axes.set_axis_off()
        for turn, axes in enumerate(list(grid.flat)[: len(threats)]):
            percent_axis(axes, "accuracy (%)" if turn % 2 == 0 else "", top=100)
        figure.legend(handles=_keys(), loc="outside upper center", ncols=4, frameon=False)
        pdf = to_pdf(figure)
    counted = int(attacked["n"].max())
    return Figure(
        name="defences",
        caption=f"Each defence under each threat (n = {counted}): PGD of ten steps as in the study (on the "
        "smoothed model through one noise draw, hatched, since it hides the gradient), the worst case "
        "over all attacks of the run, surfaces and toolkits, with its 95 % Wilson interval, and the "
        "published accuracy. The worst case may be made of other numbers of steps for each model, as the "
        "table of parameters says.",
        pdf=pdf,
    )


def _threat_panel(axes: Axes, rows: pd.DataFrame, headline: pd.DataFrame) -> None:
    """Draw two bars and the published figure of each model.

    Args:
        axes: drawn on.
        rows: of the comparison, one attack at one radius.
        headline: of the whole run.
    """
    worst = {
        str(row["model"]): row
        for row in headline.to_dict("records")
        if row["norm"] == rows["norm"].iloc[0] and row["eps"] == number(rows["eps"].iloc[0])
    }
    for turn, row in enumerate(rows.to_dict("records")):
        drawn = float(row.get(f"ours on {ONE_DRAW_SURFACE}", float("nan")))
        single = not pd.isna(drawn)
        axes.bar(
            turn - 0.2, drawn if single else row["ours"], 0.38, color=_STUDY, hatch=_HATCH if single else "",
            edgecolor="white", linewidth=0, zorder=2,
        )  # fmt: skip
        _worst_bar(axes, turn + 0.2, worst.get(f"{row['data']}/{row['model']}", {}))
        axes.plot(turn - 0.2, row["published"], linestyle="none", zorder=4, clip_on=False,
                  **PUBLISHED)  # fmt: skip
    axes.set_xticks(range(len(rows)), [_SHORT.get(model, model) for model in rows["model"]])
    axes.tick_params(axis="x", length=0, pad=2)


def _worst_bar(axes: Axes, at: float, found: Mapping[Any, Any]) -> None:
    if not found or pd.isna(found["robust_accuracy"]):
        return
    height = 100 * found["robust_accuracy"]
    reach = [[height - 100 * found["low"]], [100 * found["high"] - height]]
    axes.bar(
        at, height, 0.38, color=_WORST, hatch=_HATCH if ONE_DRAW in str(found["flag"]) else "",
        edgecolor="white", linewidth=0, zorder=2,
    )  # fmt: skip
    axes.errorbar(at, height, yerr=reach, fmt="none", ecolor="black", elinewidth=0.6, zorder=3)


def _keys() -> list[Any]:
    return [
        Patch(facecolor=_STUDY, label="PGD as in the study, ours"),
        Patch(facecolor=_STUDY, edgecolor="white", hatch=_HATCH, label="the same, one noise draw"),
        Patch(facecolor=_WORST, label="worst case, ours"),
        Line2D([], [], linestyle="none", label="published", **PUBLISHED),
    ]

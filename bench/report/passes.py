"""The figure of what attacks reach against the passes that they spend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from bench.report.blocks import Figure
from bench.report.drawing import NORM, TEXT_WIDTH, canvas, look, percent_axis, style, to_pdf
from bench.report.labels import data_name
from bench.report.legends import MOST, height, legend

#: Panels side by side, the height of each and the width of the legend, in inches.
_ACROSS, _PANEL, _LEGEND = 2, 2.2, 2.0

#: Where all successes are above this many percent, the axis has more ticks.
_MAGNIFIED = 50

_TOGETHER, _OTHERS = "together, up to there", "other attacks"
_GREY = "0.6"


def passes_figure(points: pd.DataFrame) -> Figure:
    """Return success at one radius against passes, a panel a data set and norm.

    Args:
        points: of `bench.measure.quality.success_against_passes`.
    """
    panels = list(points.groupby(["data", "norm"], sort=False))
    names = outstanding_attacks(points)
    others = [_OTHERS] * (len(names) < len(points["attack"].unique()))
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    with style():
        high = max(_PANEL * down, height([*names, *others, _TOGETHER]) + 0.3)
        figure = canvas(TEXT_WIDTH, high)
        beside = _LEGEND * across / (TEXT_WIDTH - _LEGEND)
        grid = figure.add_gridspec(down, across + 1, width_ratios=[*[1.0] * across, beside])
        for turn, ((data, norm), part) in enumerate(panels):
            axes = figure.add_subplot(grid[turn // across, turn % across])
            where = f"{data_name(str(data))}, " if len(points["data"].unique()) > 1 else ""
            draw_passes(axes, part, names)
            axes.set_title(f"{where}{NORM[str(norm)]} {part['eps'].iloc[0]}", fontsize=8)
            if turn % across:
                axes.set_ylabel("")
        keys = [_marker(turn) for turn in range(len(names))]
        keys += [_dot() for _ in others] + [Line2D([], [], color=_GREY, linewidth=0.8)]
        margin = figure.add_subplot(grid[:, -1])
        margin.set_axis_off()
        legend(margin, keys, [*names, *others, _TOGETHER], loc="center left", borderaxespad=0)
        pdf = to_pdf(figure)
    return Figure(pdf=pdf, caption=caption(points, named=not others))


def outstanding_attacks(points: pd.DataFrame) -> list[str]:
    """Return the attacks that the figure names: all, or of many those that stand out in some panel.

    These are the ones that none as cheap outdoes, and the weakest.

    Args:
        points: of `bench.measure.quality.success_against_passes`.
    """
    every = list(dict.fromkeys(map(str, points["attack"])))
    if len(every) <= MOST:
        return every
    found: list[str] = []
    for _, part in points.groupby(["data", "norm"], sort=False):
        part = part.sort_values(["passes", "success"], ascending=[True, False], kind="stable")
        ahead = part["success"] > part["success"].cummax().shift(fill_value=-1.0)
        weakest = part["success"] == part["success"].min()
        found += [*part.loc[ahead, "attack"], *part.loc[weakest, "attack"].head(1)]
    return list(dict.fromkeys(map(str, found)))


def caption(points: pd.DataFrame, *, named: bool) -> str:
    """Return what stands under the figure.

    Args:
        points: of `bench.measure.quality.success_against_passes`.
        named: whether all attacks are.
    """
    several = points["models"].max() > 1
    mean = ", mean over the models," if several else ""
    without = points.loc[~points["asked"], "norm"].unique()
    what = (
        f"Success at one radius{mean} against passes, forward and backward, for each image attacked: a "
        "marker an attack and toolkit; the upper left is best."
    )
    said = [what]
    if several:
        said.append("Only attacks made on all these models are shown.")
    if points["asked"].any():
        said.append("The radius of the run is shown at which the attacks differ most.")
    if len(without):
        said.append(
            f"In {', '.join(without)}, which has none: the median distance of the best attack for each image."
        )
    said.append(
        "Grey line: what all attacks shown break together that spent as many passes or fewer (up to a tenth more)."
    )
    if not named:
        said.append("Named: the attacks that none as cheap outdoes, and the weakest of each panel.")
    return " ".join(said)


def draw_passes(axes: Axes, points: pd.DataFrame, names: Sequence[str]) -> None:
    """Draw success against passes, a marker a method, and what as cheap ones do together as grey steps.

    Args:
        axes: drawn on.
        points: rows of `bench.measure.quality.success_against_passes` of one data set and norm.
        names: the attacks that have a look of their own; the others are grey.
    """
    axes.step(
        points["passes"], 100 * points["together"], where="post", color=_GREY, linewidth=0.8, zorder=1
    )  # fmt: skip
    for attack, part in points.groupby("attack", sort=False):
        key = _marker(names.index(str(attack))) if attack in names else _dot()
        axes.plot(
            part["passes"], 100 * part["success"], linestyle="none", marker=key.get_marker(),
            markersize=key.get_markersize(), markerfacecolor="none", clip_on=False,
            markeredgecolor=key.get_markeredgecolor(), zorder=3 if attack in names else 2,
        )  # fmt: skip
    if points["passes"].min() > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=_ticks(points["passes"])))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.1)
    axes.set_xlabel("passes")
    lowest = max(0, 10 * math.floor(10 * float(points["success"].min()) - 0.5))
    percent_axis(axes, "success (%)", step=10 if lowest >= _MAGNIFIED else 20)
    axes.set_ylim(lowest, 102)


def _ticks(passes: pd.Series[float]) -> tuple[int, ...]:
    """Return which multiples of the powers of ten have a tick: of a wide range the powers alone."""
    return (1,) if passes.max() > 100 * passes.min() else (1, 2, 5)


def _marker(turn: int) -> Line2D:
    own = look(turn)
    return Line2D(
        [], [], linestyle="none", marker=own.marker, markerfacecolor="none", markeredgecolor=own.colour
    )  # fmt: skip


def _dot() -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker="o", markersize=2.5, markerfacecolor="none",
        markeredgecolor=_GREY,
    )  # fmt: skip

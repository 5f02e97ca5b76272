"""Accuracy against eps, a figure a norm."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE
from bench.report import formatting
from bench.report.blocks import Block, Figure, Section, Text
from bench.report.drawing import (
    NORM,
    Look,
    canvas,
    is_wide,
    look,
    percent_axis,
    size,
    style,
    to_pdf,
)
from bench.report.findings import Findings
from bench.report.labels import spoken_against
from bench.report.legends import BESIDE, FEW, MOST, legend, outstanding
from bench.report.rules import SectionRule


def section(findings: Findings) -> Section | None:
    """Return the curves of a run; a brief study has figures of its own instead."""
    if findings.study.brief:
        return None
    measured = findings.measured
    drawn = accuracy_figures(measured.curve, measured.headline)
    none = Text(text="There is no accuracy against eps: no cell has finished.")
    blocks: tuple[Block, ...] = tuple(drawn) or (none,)
    return Section(label="accuracy", title="Accuracy against eps", blocks=blocks)


def accuracy_figures(points: pd.DataFrame, asked: pd.DataFrame) -> list[Figure]:
    """Return worst-case accuracy against eps, a figure a norm of the run.

    Args:
        points: of `bench.measure.curves.curve`.
        asked: what `headline` returned; its radii get markers and ticks.
    """
    return [
        Figure(pdf=one.content, wide=one.wide, caption=one.caption)
        for one in drawn_accuracy(points, asked, to_pdf)
    ]


class Drawn(NamedTuple):
    """A drawing as a file of some format, whether it is wide, and what stands under it."""

    content: bytes
    wide: bool
    caption: str


def drawn_accuracy(
    points: pd.DataFrame, asked: pd.DataFrame, save: Callable[[Canvas], bytes]
) -> Iterator[Drawn]:
    """Yield worst-case accuracy against eps, a drawing a norm of the run.

    Args:
        points: of `bench.measure.curves.curve`.
        asked: what `headline` returned.
        save: returns a drawing as a file.
    """
    for norm in points["norm"].unique():
        lines = _marked(points[points["norm"] == norm], asked[asked["norm"] == norm])
        radii = asked.loc[asked["norm"] == norm, ["eps", "eps_text"]].drop_duplicates("eps")
        shown = dict(radii.itertuples(index=False))
        names = _entries(lines)
        with style():
            figure = canvas(*size(names))
            draw_accuracy(figure.subplots(), lines, shown)
            content = save(figure)
        yield Drawn(content, is_wide(names), caption(lines, shown))


def _measured(lines: pd.DataFrame, asked: Collection[float]) -> bool:
    """Return whether accuracy is known between the radii asked for: some attack looks for the nearest."""
    return not lines["eps"].isin([0.0, *asked]).all()


def _entries(lines: pd.DataFrame) -> list[str]:
    """Return what stands in the legend of a figure."""
    named, others = outstanding(lines)
    return [*named, *([_others(others)] if others else [])]


def _others(count: int) -> str:
    return f"{count} other models"


def _marked(lines: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a curve whose models say so if they were attacked through single draws, or if checks doubt them."""
    norm = str(lines["norm"].iloc[0])
    against = spoken_against(asked, norm)
    unseen = {
        row["model"]: how
        for row in asked.to_dict("records")
        for how in (ONE_DRAW, WITHOUT_NOISE)
        if how in formatting.text(row["flag"])
    }
    called = {
        model: f"{model} ({formatting.join(unseen.get(model, ''), against.get(model, ''))})"
        for model in {*unseen, *against}
    }
    return lines.assign(model=[called.get(model, model) for model in lines["model"]])


def draw_accuracy(axes: Axes, lines: pd.DataFrame, asked: dict[float, str]) -> None:
    """Draw the share of images that no attack broke within eps, a line a model.

    Steps, where some attack measures how far each image is from the boundary; else only the radii asked
    for are known, and thin lines join them.

    Args:
        axes: drawn on.
        lines: rows of `curve` of one norm.
        asked: the radii the run asked for with their text; they get markers and ticks.
    """
    named, others = outstanding(lines)
    keys: list[tuple[Any, str, float]] = []
    grey: Sequence[Line2D] = ()
    for model in lines["model"].unique():
        line = lines[lines["model"] == model].sort_values("eps")
        if model in named:
            own = look(named.index(model) if others else len(keys))
            key = _draw_model(axes, line, asked, own, few=len(named) <= FEW)
            keys.append((key, str(model), _right_end(key[0])))
        else:
            grey = axes.plot(
                line["eps"], 100 * line["accuracy"], color=_GREY, linewidth=0.5, zorder=1
            )
    # In the order of the lines' right ends, so that it can be read in black and white too.
    keys.sort(key=lambda key: key[2], reverse=True)
    handles, names = [key for key, _, _ in keys], [name for _, name, _ in keys]
    if others:
        handles, names = [*handles, tuple(grey)], [*names, _others(others)]
    _label(axes, lines, asked)
    if len(names) > 1:  # else the caption names the one model
        legend(axes, handles, names, **(BESIDE if is_wide(names) else {"loc": "best"}))


_GREY = "0.75"


def _draw_model(
    axes: Axes, line: pd.DataFrame, asked: dict[float, str], own: Look, few: bool
) -> tuple[Any, ...]:
    """Draw one model and return its line and its markers; its intervals too where there are few."""
    eps, accuracy = line["eps"].to_numpy(), 100 * line["accuracy"].to_numpy()
    low, high = 100 * line["low"].to_numpy(), 100 * line["high"].to_numpy()
    if _measured(line, asked):
        (drawn,) = axes.step(
            eps, accuracy, where="post", label=str(line["model"].iloc[0]), color=own.colour,
            linestyle=own.dashes, zorder=3,
        )  # fmt: skip
        if few:
            axes.fill_between(
                eps, low, high, step="post", color=own.colour, alpha=0.18, linewidth=0, zorder=2
            )
    else:
        (drawn,) = axes.plot(
            eps, accuracy, label=str(line["model"].iloc[0]), color=own.colour,
            linestyle=own.dashes, linewidth=0.6, zorder=3,
        )  # fmt: skip
        if few:
            axes.vlines(eps, low, high, color=own.colour, linewidth=0.8, zorder=2)
    marked = line[line["eps"].isin([0.0, *asked])]
    (dots,) = axes.plot(
        marked["eps"], 100 * marked["accuracy"], linestyle="none", color=own.colour,
        marker=own.marker, markeredgecolor="white", markeredgewidth=0.4, zorder=4, clip_on=False,
    )  # fmt: skip
    return drawn, dots


def _label(axes: Axes, lines: pd.DataFrame, asked: dict[float, str]) -> None:
    norm = str(lines["norm"].iloc[0])
    right = float(lines["eps"].max())
    axes.set_xlim(0, 1.04 * right or 1.0)
    unit = "pixels changed" if norm == "l0" else "pixels in [0, 1]"
    axes.set_xlabel(f"{NORM[norm]} radius $\\varepsilon$ ({unit})")
    if asked:
        ticks = spaced_ticks(asked, right)
        axes.set_xticks(list(ticks), list(ticks.values()))
    percent_axis(axes, "worst-case accuracy (%)")


def spaced_ticks(asked: dict[float, str], right: float) -> dict[float, str]:
    """Return 0 and the radii whose labels have room, of crowded ones the larger."""
    kept = {0.0: "0"}
    for eps in sorted(asked, reverse=True):
        if all(abs(eps - other) > 0.13 * right for other in kept):
            kept[eps] = asked[eps]
    return dict(sorted(kept.items()))


def _right_end(line: Line2D) -> float:
    heights = np.asarray(line.get_ydata(), dtype=float)
    known = heights[np.isfinite(heights)]
    return float(known[-1]) if len(known) else 0.0


def caption(lines: pd.DataFrame, asked: Collection[float]) -> str:
    """Return what stands under a figure.

    Args:
        lines: rows of `curve` of one norm.
        asked: the radii that the run asked for.
    """
    models, n, norm = list(lines["model"].unique()), int(lines["n"].max()), lines["norm"].iloc[0]
    measured = _measured(lines, asked)
    alone = f"{models[0]}, " if len(models) == 1 else ""
    smoke = f" (smoke: n < {formatting.SMOKE})" if n < formatting.SMOKE else ""
    between = "; between the markers it is an upper bound" if asked else ""
    joined = "; the lines between them measure nothing" if not measured else ""
    markers = "Markers: the radii asked for, and" if asked else "The marker:"
    bands = (
        f" {'Bands' if measured else 'Bars'}: 95 % Wilson intervals." if len(models) <= FEW else ""
    )
    many = len(models) > MOST
    others = " Named: the most and the least robust by their mean accuracy." if many else ""
    return (
        f"Accuracy against the {norm} radius, {alone}n = {n}{smoke}: share of images that no attack broke "
        f"within the radius{between if measured else ''}. {markers} clean accuracy at 0{joined}.{bands}"
        f"{others}"
    )


SECTION = SectionRule(name="accuracy", place=40, make=section)

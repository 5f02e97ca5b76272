"""Accuracy against eps, one figure a norm, drawn at its final size and saved as PDF.

No pyplot: figures are objects, and every setting holds inside `style` only.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE
from bench.report import formatting
from bench.report.legends import BESIDE, LONG, MOST, height, legend, outstanding

#: Width of the report's text, in inches (A4 less its margins); common.typ has the same in cm.
TEXT_WIDTH = 16.4 / 2.54

#: Up to this many models share half the width, with bands; more get the whole of it, without.
FEW = 4

_DARK = (0, 1, 2, 3, 4, 5, 7, 9)  # of seaborn's colour-blind palette, without its two pale ones
_MARKERS = "osD^vPX<>*"
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))
NORM = {"l0": r"$\ell_0$", "l1": r"$\ell_1$", "l2": r"$\ell_2$", "linf": r"$\ell_\infty$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure of one norm, ready to be set.

    Attributes:
        pdf: the file, text selectable.
        wide: whether it takes the full width of the text.
        asked: whether the run asked for radii in this norm.
        bands: whether intervals are drawn.
        measured: whether accuracy is known between the radii asked for too.
    """

    norm: str
    pdf: bytes
    wide: bool
    models: tuple[str, ...]
    n: int
    asked: bool
    bands: bool
    measured: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What a model's line looks like; told apart without colour too."""

    colour: Any
    dashes: Any
    marker: str


def look(turn: int) -> Look:
    """Return the look of the model that comes `turn`-th."""
    import seaborn as sns  # takes seconds to import; CSV and LaTeX do without

    return Look(
        sns.color_palette("colorblind")[_DARK[turn % len(_DARK)]],
        _DASHES[turn % len(_DASHES)],
        _MARKERS[turn % len(_MARKERS)],
    )


@contextmanager
def style() -> Iterator[None]:
    """Hold the settings of all figures for the time they are drawn and saved."""
    import seaborn as sns  # takes seconds to import; CSV and LaTeX do without

    settings = {
        **sns.axes_style("ticks"),
        "font.family": "STIXGeneral",  # ships with matplotlib; nearest to the report's serif
        "mathtext.fontset": "stix",
        "font.size": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "lines.linewidth": 1.1,
        "lines.markersize": 3.8,
        "pdf.fonttype": 42,
    }
    with mpl.rc_context(settings):
        yield


def accuracy_figures(points: pd.DataFrame, asked: pd.DataFrame) -> list[Drawn]:
    """Return worst-case accuracy against eps, a figure a norm of the run.

    Args:
        points: what `bench.measure.curves.curve` returned.
        asked: what `headline` returned; its radii get markers and ticks.
    """
    drawn = []
    for norm in points["norm"].unique():
        lines = _marked(points[points["norm"] == norm], asked[asked["norm"] == norm])
        radii = asked.loc[asked["norm"] == norm, ["eps", "eps_text"]].drop_duplicates("eps")
        models = tuple(lines["model"].unique())
        shown = dict(radii.itertuples(index=False))
        with style():
            figure = Figure(figsize=size(_entries(lines)), layout="constrained")
            draw_accuracy(figure.subplots(), lines, shown)
            pdf = to_pdf(figure)
        drawn.append(
            Drawn(
                norm=norm,
                pdf=pdf,
                wide=is_wide(_entries(lines)),
                models=models,
                n=int(lines["n"].max()),
                asked=len(radii) > 0,
                bands=len(models) <= FEW,
                measured=_measured(lines, shown),
            )
        )
    return drawn


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
    """Return rows of a curve whose models say so if they were attacked through single draws alone."""
    called = {
        one["model"]: f"{one['model']} ({said})"
        for one in asked.to_dict("records")
        for said in (ONE_DRAW, WITHOUT_NOISE)
        if said in formatting.text(one["flag"])
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
    import seaborn as sns

    named, others = outstanding(lines)
    keys: list[tuple[Any, str, float]] = []
    grey: Sequence[Line2D] = ()
    for model in lines["model"].unique():
        line = lines[lines["model"] == model].sort_values("eps")
        if model in named:
            mine = look(named.index(model) if others else len(keys))
            key = _draw_model(axes, line, asked, mine, few=len(named) <= FEW)
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
    sns.despine(ax=axes)


_GREY = "0.75"


def _draw_model(
    axes: Axes, line: pd.DataFrame, asked: dict[float, str], mine: Look, few: bool
) -> tuple[Any, ...]:
    """Draw one model and return its line and its markers; its intervals too where there are few."""
    eps, accuracy = line["eps"].to_numpy(), 100 * line["accuracy"].to_numpy()
    low, high = 100 * line["low"].to_numpy(), 100 * line["high"].to_numpy()
    if _measured(line, asked):
        (drawn,) = axes.step(
            eps, accuracy, where="post", label=str(line["model"].iloc[0]), color=mine.colour,
            linestyle=mine.dashes, zorder=3,
        )  # fmt: skip
        if few:
            axes.fill_between(
                eps, low, high, step="post", color=mine.colour, alpha=0.18, linewidth=0, zorder=2
            )
    else:
        (drawn,) = axes.plot(
            eps, accuracy, label=str(line["model"].iloc[0]), color=mine.colour,
            linestyle=mine.dashes, linewidth=0.6, zorder=3,
        )  # fmt: skip
        if few:
            axes.vlines(eps, low, high, color=mine.colour, linewidth=0.8, zorder=2)
    marked = line[line["eps"].isin([0.0, *asked])]
    (dots,) = axes.plot(
        marked["eps"], 100 * marked["accuracy"], linestyle="none", color=mine.colour,
        marker=mine.marker, markeredgecolor="white", markeredgewidth=0.4, zorder=4, clip_on=False,
    )  # fmt: skip
    return drawn, dots


def is_wide(names: Sequence[str]) -> bool:
    """Return whether a figure with a legend of these names takes the full width of the text."""
    return len(names) > FEW or (len(names) > 1 and max(map(len, names)) > LONG)


def size(names: Sequence[str]) -> tuple[float, float]:
    """Return width and height, in inches, of a figure with a line for each of these names."""
    if not is_wide(names):
        return (TEXT_WIDTH - 0.2) / 2, 2.3
    return TEXT_WIDTH, max(2.5, height(names) + 0.2)


def _label(axes: Axes, lines: pd.DataFrame, asked: dict[float, str]) -> None:
    norm = str(lines["norm"].iloc[0])
    right = float(lines["eps"].max())
    axes.set_xlim(0, 1.04 * right or 1.0)
    axes.set_ylim(0, 102)
    axes.set_yticks(range(0, 101, 20))
    unit = "pixels changed" if norm == "l0" else "pixels in [0, 1]"
    axes.set_xlabel(f"{NORM[norm]} radius $\\varepsilon$ ({unit})")
    axes.set_ylabel("worst-case accuracy (%)")
    if asked:
        ticks = _spaced(asked, right)
        axes.set_xticks(list(ticks), list(ticks.values()))
    axes.grid(axis="y", linewidth=0.3, color="0.85", zorder=0)


def _spaced(asked: dict[float, str], right: float) -> dict[float, str]:
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


def to_pdf(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PDF file."""
    file = io.BytesIO()
    figure.savefig(file, format="pdf", metadata={"CreationDate": None})  # same rows, same bytes
    return file.getvalue()


def caption(drawn: Drawn) -> str:
    """Return what stands under a figure."""
    who = f"{drawn.models[0]}, " if len(drawn.models) == 1 else ""
    smoke = f" (smoke: n < {formatting.SMOKE})" if drawn.n < formatting.SMOKE else ""
    between = "; between the markers it is an upper bound" if drawn.asked else ""
    joined = "; the lines between them measure nothing" if not drawn.measured else ""
    markers = "Markers: the radii asked for, and" if drawn.asked else "The marker:"
    how = "Bands" if drawn.measured else "Bars"
    bands = f" {how}: 95 % Wilson intervals." if drawn.bands else ""
    many = len(drawn.models) > MOST
    others = " Named: the most and the least robust by their mean accuracy." if many else ""
    return (
        f"{who}n = {drawn.n}{smoke}: share of images that no attack broke within the radius"
        f"{between if drawn.measured else ''}. {markers} clean accuracy at 0{joined}.{bands}{others}"
    )

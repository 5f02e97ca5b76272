"""Accuracy against eps, one figure a norm, drawn at its final size and saved as PDF.

No pyplot: figures are objects, and every setting holds inside `style` only.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.measure.falls import ONE_DRAW, WITHOUT_NOISE
from bench.report import words

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
    """

    norm: str
    pdf: bytes
    wide: bool
    models: tuple[str, ...]
    n: int
    asked: bool
    bands: bool


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
        points: what `curve` of `bench.measure.robustness` returned.
        asked: what `headline` returned; its radii get markers and ticks.
    """
    drawn = []
    for norm in points["norm"].unique():
        lines = _marked(points[points["norm"] == norm], asked[asked["norm"] == norm])
        radii = asked.loc[asked["norm"] == norm, ["eps", "eps_text"]].drop_duplicates("eps")
        models = tuple(lines["model"].unique())
        with style():
            figure = Figure(figsize=size(len(models)), layout="constrained")
            draw_accuracy(figure.subplots(), lines, dict(radii.itertuples(index=False)))
            pdf = to_pdf(figure)
        drawn.append(
            Drawn(
                norm=norm,
                pdf=pdf,
                wide=len(models) > FEW,
                models=models,
                n=int(lines["n"].max()),
                asked=len(radii) > 0,
                bands=len(models) <= FEW,
            )
        )
    return drawn


def _marked(lines: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a curve whose models say so if they were attacked through single draws alone."""
    called = {
        one["model"]: f"{one['model']} ({said})"
        for one in asked.to_dict("records")
        for said in (ONE_DRAW, WITHOUT_NOISE)
        if said in words.text(one["flag"])
    }
    return lines.assign(model=[called.get(model, model) for model in lines["model"]])


def draw_accuracy(axes: Axes, lines: pd.DataFrame, asked: dict[float, str]) -> None:
    """Draw a step line a model: the share of images that no attack broke within eps.

    Args:
        axes: drawn on.
        lines: rows of `curve` of one norm.
        asked: the radii the run asked for with their text; they get markers and ticks.
    """
    import seaborn as sns

    models = lines["model"].unique()
    for turn, model in enumerate(models):
        mine = look(turn)
        colour = mine.colour
        line = lines[lines["model"] == model].sort_values("eps")
        eps, accuracy = line["eps"].to_numpy(), 100 * line["accuracy"].to_numpy()
        axes.step(
            eps, accuracy, where="post", label=model, color=colour,
            linestyle=mine.dashes, zorder=3,
        )  # fmt: skip
        marked = line[line["eps"].isin([0.0, *asked])]
        axes.plot(
            marked["eps"], 100 * marked["accuracy"], linestyle="none", color=colour,
            marker=mine.marker, markeredgecolor="white", markeredgewidth=0.4,
            zorder=4, clip_on=False,
        )  # fmt: skip
        if len(models) <= FEW:
            axes.fill_between(
                eps, 100 * line["low"].to_numpy(), 100 * line["high"].to_numpy(), step="post",
                color=colour, alpha=0.18, linewidth=0, zorder=2,
            )  # fmt: skip
    _label(axes, lines, asked)
    _legend(axes)
    sns.despine(ax=axes)


def size(models: int) -> tuple[float, float]:
    """Return width and height, in inches, of a figure with a line for each of so many models."""
    if models <= FEW:
        return (TEXT_WIDTH - 0.2) / 2, 2.3
    return TEXT_WIDTH, max(2.5, 0.155 * models + 0.5)


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


def _legend(axes: Axes) -> None:
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    points = [line for line in axes.get_lines() if line not in lines]
    if len(lines) < 2:
        return  # the caption names the one model
    pairs = list(zip(lines, points, strict=True))
    # In the order of the lines' right ends, so that it can be read in black and white too.
    pairs.sort(key=lambda pair: _right_end(pair[0]), reverse=True)
    labels = [str(line.get_label()) for line, _ in pairs]
    if len(lines) <= FEW:
        axes.legend(pairs, labels, frameon=False, handlelength=2.6, loc="best")
    else:
        axes.legend(
            pairs, labels, frameon=False, handlelength=2.6, loc="center left",
            bbox_to_anchor=(1.01, 0.5), borderaxespad=0,
        )  # fmt: skip


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
    smoke = f" (smoke: n < {words.SMOKE})" if drawn.n < words.SMOKE else ""
    between = "; between the markers it is an upper bound" if drawn.asked else ""
    markers = "Markers: the radii asked for, and" if drawn.asked else "The marker:"
    bands = " Bands: 95 % Wilson intervals." if drawn.bands else ""
    return (
        f"{who}n = {drawn.n}{smoke}: share of images that no attack broke within the radius"
        f"{between}. {markers} clean accuracy at 0.{bands}"
    )

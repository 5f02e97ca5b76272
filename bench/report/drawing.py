"""How figures are drawn: at their final size, in one style, and saved as PDF or, for notebooks, SVG.

No pyplot: figures are objects, and every setting holds inside `style` only.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.legends import FEW, LONG, height

#: Width of the report's text, in inches (A4 less its margins); report.typ has the same in cm.
TEXT_WIDTH = 16.4 / 2.54

_DARK = (0, 1, 2, 3, 4, 5, 7, 9)  # of seaborn's colour-blind palette, without its two pale ones
_MARKERS = "osD^vPX<>*"
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))
NORM = {"l0": r"$\ell_0$", "l1": r"$\ell_1$", "l2": r"$\ell_2$", "linf": r"$\ell_\infty$"}

#: The marker of a published figure.
PUBLISHED: dict[str, Any] = {
    "marker": "D", "markersize": 3, "markerfacecolor": "white", "markeredgecolor": "black",
    "markeredgewidth": 0.6,
}  # fmt: skip


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
        "svg.hashsalt": "crossfire",  # same rows, same bytes
    }
    with mpl.rc_context(settings):
        yield


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of a width and height in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def percent_axis(axes: Axes, title: str, top: float = 102, step: int = 20) -> None:
    """Make the vertical axis one of percent, with pale lines and no frame."""
    axes.set_ylim(0, top)
    axes.set_yticks(range(0, 101, step))
    axes.set_ylabel(title)
    axes.grid(axis="y", linewidth=0.3, color="0.85", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)


def is_wide(names: Sequence[str]) -> bool:
    """Return whether a figure with a legend of these names takes the full width of the text."""
    return len(names) > FEW or (len(names) > 1 and max(map(len, names)) > LONG)


def size(names: Sequence[str]) -> tuple[float, float]:
    """Return width and height, in inches, of a figure with a line for each of these names."""
    if not is_wide(names):
        return (TEXT_WIDTH - 0.2) / 2, 2.3
    return TEXT_WIDTH, max(2.5, height(names) + 0.2)


def to_pdf(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PDF file."""
    file = io.BytesIO()
    figure.savefig(file, format="pdf", metadata={"CreationDate": None})  # same rows, same bytes
    return file.getvalue()


def to_svg(figure: Figure) -> bytes:
    """Return a figure as the bytes of an SVG file on white, with its letters as outlines: no font is needed."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", facecolor="white", metadata={"Date": None})
    return file.getvalue()

"""Legends of figures. Names are data: they are drawn as they are written, whole and told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

#: A longer name takes several lines, and does not fit within a figure of half the width.
LINE = 30
LONG = 24

#: Up to this many models share half the width, with bands; more get the whole of it, without.
FEW = 4

#: Of more models than these, those between the best and the worst are drawn alike and named as a group.
MOST = 10

#: Height of a line of a legend, in inches.
LINE_HEIGHT = 0.13

BESIDE: dict[str, Any] = {
    "loc": "center left", "bbox_to_anchor": (1.01, 0.5), "borderaxespad": 0,
}  # fmt: skip


def legend(axes: Axes, handles: Sequence[Any], names: Sequence[str], **where: Any) -> None:
    """Draw a legend; matplotlib's own drops names that begin with `_`, and reads mathematics in `$`.

    Args:
        axes: drawn on.
        handles: a line, or a tuple of what lies upon one another, a name.
        names: as long as they come; they are broken into lines.
        where: placement, as `Axes.legend` takes it.
    """
    drawn = axes.legend(
        list(handles), [str(turn) for turn in range(len(names))], frameon=False, handlelength=2.6,
        **where,
    )  # fmt: skip
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_linespacing(1.0)
        text.set_text("\n".join(broken(name)))


def broken(name: str, width: int = LINE) -> list[str]:
    """Return a name in lines of at most `width`, broken after `/ - _ ,` or a space where there is one."""
    lines = [""]
    for part in re.findall(r"[^-/_, ]*[-/_, ]?", name):
        while len(lines[-1]) + len(part.rstrip()) > width:
            if lines[-1]:
                lines.append("")
            elif len(part) > width:
                lines[-1], part = part[:width], part[width:]
                lines.append("")
            else:
                break
        lines[-1] += part
    return [line.strip() for line in lines if line.strip()] or [name]


def height(names: Sequence[str]) -> float:
    """Return how high a legend of these names is, in inches."""
    return LINE_HEIGHT * sum(0.5 + len(broken(name)) for name in names)


def outstanding(lines: pd.DataFrame) -> tuple[list[str], int]:
    """Return the models that a figure names, the most robust first, and how many others there are.

    Of more than `MOST` models these are the most and the least robust by their mean accuracy.

    Args:
        lines: `model, eps, accuracy`, as `bench.measure.curves.curve` returns them.
    """
    models = list(dict.fromkeys(map(str, lines["model"])))
    if len(models) <= MOST:
        return models, 0
    mean = lines.groupby("model", sort=False)["accuracy"].mean().fillna(-1)
    ranked = [str(model) for model in mean.sort_values(ascending=False, kind="stable").index]
    half = (MOST - 1) // 2
    return [*ranked[: half + 1], *ranked[-half:]], len(models) - 2 * half - 1

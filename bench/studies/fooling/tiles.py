"""Sheets of small pictures with words below: how the galleries of this study are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.report.drawing import TEXT_WIDTH, style, to_pdf
from bench.report.pixels import to_bytes

Pixels = NDArray[np.float32]

#: Sizes in inches: a line of words, and the gaps within a group, between groups and rows.
_LINE = 0.098
_NEAR, _APART, _BETWEEN = 0.03, 0.12, 0.07
_TITLE, _HEAD = 0.2, 0.17
_WORDS = 6.3

#: A picture is enlarged to so many pixels, so that no viewer smooths them away; a finer one is made coarser.
_ENLARGED, _FINEST = 96, 160
#: A finer picture has 64 levels a channel, which print tells from 256 no more: its file is a third smaller.
_LEVELS = np.uint8(0xFC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A picture.

    Attributes:
        image: (C, H, W) in [0, 1]; what lies outside is cut off.
        below: words, in lines.
        failed: whether it shows an attack that failed; its words are slanted and grey.
        whole: whether single pixels of it matter, so that none may be left out.
    """

    image: Pixels
    below: str = ""
    failed: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Tiles side by side, None where a place stays empty; `title` stands at their left, upwards."""

    tiles: Sequence[Tile | None]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of a sheet stand.

    Attributes:
        groups: how many columns stand close together, a number a group.
        heads: what stands above each group; empty for nothing.
        width: of the sheet, in inches.
        titled: whether rows have titles.
        largest: how large tiles may be, in inches.
    """

    groups: Sequence[int]
    heads: Sequence[str] = ()
    width: float = TEXT_WIDTH
    titled: bool = False
    largest: float = 0.98

    @property
    def size(self) -> float:
        """The width of a tile."""
        return min(self.largest, (self._room() - sum(self._gaps())) / sum(self.groups))

    @property
    def lefts(self) -> list[float]:
        """The left edge of each column; all columns together stand in the middle."""
        gaps, size = self._gaps(), self.size
        spare = self._room() - sum(gaps) - size * len(gaps)
        ends = accumulate(gap + size for gap in gaps)
        return [_TITLE * self.titled + spare / 2 + end - size for end in ends]

    def _gaps(self) -> list[float]:
        """Return the gap before each column."""
        gaps = [gap for count in self.groups for gap in (_APART, *(_NEAR,) * (count - 1))]
        return [0.0, *gaps[1:]]

    def _room(self) -> float:
        return self.width - _TITLE * self.titled

    def middle(self, group: int) -> float:
        """Return the middle of a group of columns."""
        first = sum(self.groups[:group])
        last = first + self.groups[group] - 1
        return (self.lefts[first] + self.lefts[last] + self.size) / 2

    def height(self, rows: Sequence[Row]) -> float:
        """Return the height of some rows with their words."""
        return sum(self.size + _LINE * _lines(row) + _BETWEEN for row in rows)


def sheet(rows: Sequence[Row], layout: Layout) -> bytes:
    """Return a sheet of rows as the bytes of a PDF file."""
    head = _HEAD if layout.heads else 0.0
    with style():
        paper = paper_of(layout.width, head + layout.height(rows))
        for group, words in enumerate(layout.heads):
            paper.text(layout.middle(group), head - 0.06, words, ha="center", fontsize=7.5)
        draw_rows(paper, rows, layout, head)
        drawing = paper.get_figure()
        assert isinstance(drawing, Drawing)
        return to_pdf(drawing)


def paper_of(width: float, height: float) -> Axes:
    """Return axes over a whole new drawing, in inches from its upper left corner."""
    axes = Drawing(figsize=(width, height)).add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return axes


def draw_rows(paper: Axes, rows: Sequence[Row], layout: Layout, top: float) -> None:
    """Draw rows of tiles below one another, from `top` on."""
    for row in rows:
        for left, tile in zip(layout.lefts, row.tiles, strict=False):
            if tile is not None:
                _draw(paper, tile, left, top, layout.size)
        if row.title:
            paper.text(
                layout.lefts[0] - 0.05, top + (layout.height([row]) - _BETWEEN) / 2, row.title,
                rotation=90, ha="right", va="center", fontsize=7,
            )  # fmt: skip
        top += layout.height([row])


def _draw(paper: Axes, tile: Tile, left: float, top: float, size: float) -> None:
    paper.imshow(
        shown(tile), extent=(left, left + size, top + size, top), interpolation="none",
        aspect="auto", zorder=2,
    )  # fmt: skip
    paper.add_patch(
        Rectangle((left, top), size, size, fill=False, edgecolor="0.5", linewidth=0.4, zorder=3)
    )
    paper.text(
        left + size / 2, top + size + 0.025, tile.below, ha="center", va="top", fontsize=_WORDS,
        linespacing=1.0, color="0.4" if tile.failed else "black",
        style="italic" if tile.failed else "normal",
    )  # fmt: skip


def shown(tile: Tile) -> NDArray[np.uint8]:
    """Return the pixels of a tile as they are printed, (H, W, 3)."""
    image = np.repeat(tile.image, 3 // len(tile.image), axis=0)
    width = image.shape[-1]
    if width > _FINEST and not tile.whole:
        return to_bytes(_coarse(image, -(-width // _FINEST))).transpose(1, 2, 0) & _LEVELS
    times = max(1, round(_ENLARGED / width))
    return to_bytes(image).transpose(1, 2, 0).repeat(times, axis=0).repeat(times, axis=1)


def _coarse(image: Pixels, step: int) -> Pixels:
    """Return an image with the mean of each square of `step` by `step` pixels in its place."""
    rows, columns = (length // step for length in image.shape[1:])
    squares = image[:, : rows * step, : columns * step].reshape(-1, rows, step, columns, step)
    coarse: Pixels = squares.mean((2, 4))
    return coarse


def _lines(row: Row) -> int:
    return max((tile.below.count("\n") + 1 for tile in row.tiles if tile and tile.below), default=0)

"""Rows laid out as lines for a width: nothing is cut, and no word is broken that a line has room for."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TextIO

from rich.cells import cell_len
from rich.text import Text

_GAP = 2
_INDENT = 2
#: A column of text is wrapped within itself where it has so much room and takes so few lines.
_LEAST_ROOM, _MOST_LINES = 24, 4
#: Text longer than this gets lines of its own beneath its row; what is shorter shares one.
_LONG = 24
#: What a row is about, and what came of it: it stays in its row as long as anything else can go.
_KEPT = frozenset({
    "attack", "threat", "toolkits", "toolkit", "clean accuracy (%)", "robust accuracy (%)", "before",
    "after", "result", "verdict", "state", "under", "title", "change",
})  # fmt: skip

#: A percentage of which no line ends between the number and the sign.
_JOINED = "\N{NO-BREAK SPACE}%"
_NUMBER = re.compile(r"[<+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)?|[–-]|", re.ASCII)


def width_of(stream: TextIO) -> int | None:
    """Return how wide lines may be on a stream: of a terminal, or as COLUMNS says; None for any."""
    if os.environ.get("COLUMNS", "").isdigit() or stream.isatty():
        return shutil.get_terminal_size().columns
    return None


def loud(said: str) -> bool:
    """Return whether a cell says that something is wrong, so that it is to be seen first."""
    return said in ("FAIL", "failed", "fails", "missing", "worse") or said.startswith("INVALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where each column of a table is shown.

    Attributes:
        columns: side by side.
        wrapped: the one of them that breaks its lines, and the room it has.
        beneath: on lines of their own under each row.
        common: once under the table, since all rows have the same there.
        heading: once above the rows that share it.
        split: whether heads take two lines.
    """

    columns: tuple[str, ...]
    wrapped: tuple[str, int] | None = None
    beneath: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    heading: str | None = None
    split: bool = False


Cells = Mapping[str, Sequence[str]]


def lay_out(
    rows: Sequence[Mapping[Any, Any]], width: int | None, group: str | None = None
) -> list[Text]:
    """Return rows as lines of at most `width`: a head, a line a row, and more lines where they must be.

    What does not fit side by side goes, in this order: heads on two lines; what all rows share once below
    the table; the longest text on several lines; what rows share above them; columns beneath their row.

    Args:
        rows: all with the same keys; None is left empty.
        width: in characters; None for lines as long as they come.
        group: the column that may stand above the rows that share it; None for the first, where most
            of its values come several times.
    """
    cells = {
        str(name): ["" if row[name] is None else str(row[name]) for row in rows] for name in rows[0]
    }
    layout = _Layout(columns=tuple(cells))
    if width is not None and _needed(cells, layout) > width:
        often = 2 * len(set(cells[layout.columns[0]])) <= len(rows)
        layout = _fitted(cells, layout, width, group or (layout.columns[0] if often else ""))
    return _lines(cells, layout, width)


def fits(rows: Sequence[Mapping[Any, Any]], width: int | None) -> bool:
    """Return whether a table of these rows, a line each, is no wider than `width`."""
    return width is None or needed(rows) <= width


def needed(rows: Sequence[Mapping[Any, Any]]) -> int:
    """Return how wide a table of these rows is, a line each."""
    return max(len(line.plain) for line in lay_out(rows, None))


def _fitted(cells: Cells, layout: _Layout, width: int, group: str) -> _Layout:
    for step in (_split, _shared, _wrapped, _headed):
        if _needed(cells, layout) <= width:
            return layout
        layout = step(cells, layout, width, group)
    while _needed(cells, layout) > width and len(layout.columns) > 1:
        layout = _moved(layout, _next(cells, layout))
        if _needed(cells, layout) > width:
            layout = _wrapped(cells, layout, width, group)
    return layout


def _split(cells: Cells, layout: _Layout, width: int, group: str) -> _Layout:
    """Return a layout with heads on two lines."""
    return replace(layout, split=True)


def _shared(cells: Cells, layout: _Layout, width: int, group: str) -> _Layout:
    """Return a layout with the columns taken out that are the same in all rows."""
    first, *others = layout.columns
    movable = {name for name in others if name not in _KEPT | {group}}
    several = len(cells[first]) > 1
    common = tuple(name for name in others if several and name in movable and _one(cells[name]))
    kept = tuple(name for name in layout.columns if name not in common)
    return replace(layout, columns=kept, common=common)


def _one(said: Sequence[str]) -> bool:
    return len(set(said)) == 1


def _headed(cells: Cells, layout: _Layout, width: int, group: str) -> _Layout:
    """Return a layout with the group above its rows."""
    if group not in layout.columns or len(layout.columns) == 1:
        return layout
    kept = tuple(name for name in layout.columns if name != group)
    return replace(layout, heading=group, columns=kept)


def _next(cells: Cells, layout: _Layout) -> str:
    """Return the column that goes next: the widest that is not kept, else the widest but the first."""
    others = [name for name in layout.columns[1:] if name not in _KEPT] or layout.columns[1:]
    return max(others, key=lambda name: _width(cells, layout, name))


def _moved(layout: _Layout, column: str) -> _Layout:
    kept = tuple(name for name in layout.columns if name != column)
    return replace(layout, columns=kept, beneath=(*layout.beneath, column))


def _wrapped(cells: Cells, layout: _Layout, width: int, group: str) -> _Layout:
    """Return a layout whose longest text breaks its lines; the same where that would get too tall."""
    if len(layout.columns) == 1:
        return layout
    column = max(layout.columns[1:], key=lambda name: _longest(cells[name]))
    room = width - _needed(cells, _moved(layout, column)) - _GAP
    if room < _LEAST_ROOM:
        return layout
    tall = max(len(_broken(said, room)) for said in cells[column])
    return layout if tall > _MOST_LINES else replace(layout, wrapped=(column, room))


def _needed(cells: Cells, layout: _Layout) -> int:
    widths = [_width(cells, layout, name) for name in layout.columns]
    indent = _INDENT if layout.heading else 0
    return indent + sum(widths) + _GAP * (len(widths) - 1)


def _width(cells: Cells, layout: _Layout, name: str) -> int:
    head = max(map(cell_len, _head(cells, layout, name)))
    if layout.wrapped is not None and layout.wrapped[0] == name:
        return max(layout.wrapped[1], head)
    return max(head, _longest(cells[name]))


def _longest(said: Sequence[str]) -> int:
    return max(map(cell_len, said), default=0)


def _head(cells: Cells, layout: _Layout, name: str) -> list[str]:
    """Return a column's head on one line, or on two of about the same length where that helps."""
    parts = name.split(" ")
    if not layout.split or len(parts) == 1 or len(name) <= _longest(cells[name]):
        return [name]
    halves = [(" ".join(parts[:at]), " ".join(parts[at:])) for at in range(1, len(parts))]
    return list(min(halves, key=lambda half: max(map(len, half))))


def _lines(cells: Cells, layout: _Layout, width: int | None) -> list[Text]:
    names, indent = layout.columns, _INDENT if layout.heading else 0
    widths = {name: _width(cells, layout, name) for name in names}
    right = {name for name in names if all(map(_NUMBER.fullmatch, cells[name]))}
    heads = {name: _head(cells, layout, name) for name in names}
    deep = max(map(len, heads.values()))

    def line(said: Mapping[str, str], style: str = "") -> Text:
        made = Text(" " * indent)
        for name in names:
            space = " " * (widths[name] - cell_len(said[name]))
            before, after = (space, "") if name in right else ("", space)
            made.append(before)
            made.append(said[name], "bold red" if loud(said[name]) and not style else style)
            made.append(after + " " * _GAP)
        made.rstrip()
        return made

    lines = [
        line({name: ([""] * (deep - len(heads[name])) + heads[name])[at] for name in names}, "bold")
        for at in range(deep)
    ]
    above = None
    for turn in range(len(next(iter(cells.values())))):
        if layout.heading and cells[layout.heading][turn] != above:
            above = cells[layout.heading][turn]
            lines.append(Text(above, "italic"))
        broken = {name: _cell(cells, layout, name, turn) for name in names}
        for at in range(max(map(len, broken.values()))):
            lines.append(
                line({name: said[at] if at < len(said) else "" for name, said in broken.items()})
            )
        lines += _beneath(cells, layout, turn, width)
    if layout.common:
        shared = ((name, cells[name][0]) for name in layout.common)
        told = "; ".join(f"{name} {said}" for name, said in shared if said not in ("", "–"))
        lines += [Text(part) for part in _broken(f"in all rows: {told}", width)] if told else []
    return lines


def _cell(cells: Cells, layout: _Layout, name: str, turn: int) -> list[str]:
    said = cells[name][turn]
    if layout.wrapped is None or layout.wrapped[0] != name:
        return [said]
    return _broken(said, layout.wrapped[1])


def _beneath(cells: Cells, layout: _Layout, turn: int, width: int | None) -> list[Text]:
    """Return what has no room beside the rest of a row: short texts on one line, long ones on their own."""
    said = {name: cells[name][turn] for name in layout.beneath if cells[name][turn]}
    long = {name for name in said if _longest(cells[name]) > _LONG}
    short = "; ".join(f"{name} {one}" for name, one in said.items() if name not in long)
    paragraphs = [(short, False)] if short else []
    paragraphs += [(f"{name}: {said[name]}", loud(said[name])) for name in said if name in long]
    indent = 2 * _INDENT if layout.heading else _INDENT
    room = None if width is None else max(width - indent, 1)
    return [
        Text(" " * (indent + (_INDENT if at else 0)) + part, "bold red" if alarming else "")
        for paragraph, alarming in paragraphs
        for at, part in enumerate(_broken(paragraph, room, _INDENT))
    ]


def _broken(said: str, width: int | None, hanging: int = 0) -> list[str]:
    """Return a text in lines of at most `width`, those after the first with room for an indent."""
    if width is None:
        return [said]
    lines = textwrap.wrap(
        said.replace(" %", _JOINED), max(width, 1), subsequent_indent=" " * hanging, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    lines = [line.replace(_JOINED, " %") for line in lines]
    return [line.lstrip() if at else line for at, line in enumerate(lines)] or [""]

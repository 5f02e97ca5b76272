"""How a table is laid out in any format: which columns say something, and rows in groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Table

#: A group whose names have more characters stands above its rows, where it has the width of the page.
_SHORT = 40

#: The most rows of a table that a document has: about ten pages.
MOST_ROWS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A table as it is printed.

    Attributes:
        groups: what stands above some rows, empty where nothing does, and the rows.
    """

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    notes: tuple[str, ...]


def shortened(table: Table, most: int = MOST_ROWS) -> Table:
    """Return a table with so many rows that people leaf through it, and a note where rows were left out.

    Each group keeps as many of its first rows as the others do, at least one.
    """
    frame, count = table.frame, len(table.frame)
    if count <= most:
        return table
    groups = frame[table.group] if table.group in frame else pd.Series("", index=frame.index)
    several = groups.nunique()
    each = max(1, most // several)
    kept = frame[(groups.groupby(groups, sort=False).cumcount() < each).to_numpy()].iloc[:most]
    of_each = f" of each {table.group}" if several > 1 else ""
    note = f"The first rows{of_each}: {len(kept):,} of {count:,}. The CSV files have all."
    return replace(table, frame=kept.reset_index(drop=True), notes=(note, *table.notes))


def layout(table: Table) -> Layout:
    """Return a table without columns that are empty or the same in all rows; a note gives the latter."""
    frame, group = table.frame, table.group
    absent = [name for name in frame if frame[name].isin(["", formatting.NONE]).all()]
    same = [
        column.title
        for turn, column in enumerate(table.columns)
        if turn
        and len(frame) > 1
        and not column.always
        and column.title not in {*absent, group}
        and (frame[column.title] == frame[column.title].iloc[0]).all()
        and not formatting.loud(str(frame[column.title].iloc[0]))
    ]
    once = "; ".join(f"{title} {frame[title].iloc[0]}" for title in same)
    shown = frame.drop(columns=[*absent, *same])
    heads = group in shown and not _few_rows_each(shown[group])
    titles = [title for title in shown if not (heads and title == group)]
    grouped = list(shown.groupby(group, sort=False)) if heads else [("", shown)]
    return Layout(
        columns=tuple(column for column in table.columns if column.title in titles),
        groups=tuple(
            (str(name), tuple(map(tuple, rows[titles].astype(str).to_numpy().tolist())))
            for name, rows in grouped
        ),
        notes=(*([f"In all rows: {once}."] if same else []), *table.notes),
    )


def _few_rows_each(names: pd.Series[str]) -> bool:
    """Return whether a group is a column like others: short, and most of its values come once."""
    return len(names) < 1.5 * names.nunique() and int(names.str.len().max()) <= _SHORT

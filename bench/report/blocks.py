"""What a report is made of: sections of blocks. Sections make blocks; renderers know nothing else.

Every text is printed as it stands. A block with a `name` is also written as a file of its own where a
format has such files (LaTeX: a table as `SUITE-NAME.tex`, a figure as `SUITE-NAME.pdf`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from bench.report import formatting
from bench.report.picture_blocks import PictureGrid, Sheet

#: What the cells of a column are: `text`; `subject`, which says what a row is about; `pair`, two names
#: that stay on one line; `threat`, such as `linf 8/255`; `norm`; `verdict`; `number`; `rate`, in percent.
ColumnKind = Literal["text", "subject", "pair", "threat", "norm", "verdict", "number", "rate"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        kind: what its cells are.
        share: of the width that is left, for texts that break into lines; 0 for as wide as its texts.
    """

    title: str
    kind: ColumnKind = "text"
    share: int = 0

    @property
    def right(self) -> bool:
        """Whether its cells are numbers, which are set to the right."""
        return self.kind in ("number", "rate")

    @property
    def always(self) -> bool:
        """Whether it is shown even where it is the same in all rows."""
        return self.kind in ("subject", "pair", "threat", "verdict", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph.

    Attributes:
        lead: bold words before it.
        see: the label of a section that is named where `{see}` stands.
    """

    text: str
    lead: str = ""
    see: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a list of facts; `threats` are separated by commas."""

    name: str
    text: str
    kind: Literal["text", "threats"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A list of facts, as the protocol is."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts with what stands above and below it.

    Attributes:
        name: of its own file; empty for none.
        caption: printed above.
        columns: in order.
        frame: all text; its columns are the titles of `columns`.
        group: the column that is printed once above the rows that share it, where there is one.
        notes: printed below.
        inline: whether it stands in the document too, or in its own file alone.
    """

    name: str = ""
    caption: str
    columns: tuple[Column, ...]
    frame: pd.DataFrame
    group: str = "model"
    notes: tuple[str, ...] = ()
    inline: bool = True


#: What a column says of each row: the name of a column of the frame, or a function of its row.
Say = str | Callable[[Any], str]


def tabulate(
    found: pd.DataFrame, columns: Mapping[Column, Say], caption: str, **more: Any
) -> Table:
    """Return a table with a row for each row of a frame.

    Args:
        found: raw numbers.
        columns: what each column says.
        caption: printed above.
        more: further attributes of the table.
    """
    rows = list(found.itertuples())
    frame = pd.DataFrame(
        {
            column.title: found[say].astype(str) if isinstance(say, str)
            else pd.Series([say(row) for row in rows], index=found.index, dtype=object)
            for column, say in columns.items()
        }
    )  # fmt: skip
    return Table(caption=caption, columns=tuple(columns), frame=frame, **more)


def notes_below(table: Table, notes: Column, beside: str) -> Table:
    """Return a table whose notes stand below it, each by a letter that marks the rows it is about.

    Args:
        table: with a column of notes.
        notes: that column, which goes.
        beside: the title of the column whose texts get the letters.
    """
    texts = table.frame[notes.title]
    letters = formatting.lettered(texts)
    marked = [
        f"{text} ({letters[note]})" if note else text
        for text, note in zip(table.frame[beside], texts, strict=True)
    ]
    return replace(
        table,
        columns=tuple(column for column in table.columns if column != notes),
        frame=table.frame.assign(**{beside: marked}).drop(columns=notes.title),
        notes=(*table.notes, *formatting.in_letters(letters)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing.

    Attributes:
        name: of its own file; empty for none.
        pdf: the file, text selectable.
        caption: printed below.
        wide: whether it takes the full width of the text, or half.
    """

    name: str = ""
    pdf: bytes
    caption: str
    wide: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One cell of a published table.

    Attributes:
        published: the figure as printed, with the letter of its note.
        ours: our figure; `–` where there is none, never an empty text.
        interval: of ours, such as `[78.8, 88.9]`, marked where some attacks have no result.
    """

    published: str
    ours: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model under one attack in a published table, an entry a column."""

    model: str
    attack: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A table in the published shape: data sets or measures across; models and attacks down.

    Attributes:
        number: as published.
        data: what heads the columns; each has the published figure, ours and its interval below.
        groups: title and rows of each radius.
        notes: one line each.
        interval: what heads the third column of each.
        stacked: whether the three stand one below the other, where there are many columns; then a head
            breaks at its commas.
        subject: what heads the rows.
    """

    number: str
    caption: str
    data: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    notes: tuple[str, ...]
    interval: str = "95 % interval"
    stacked: bool = False
    subject: str = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Robust accuracy of one model under one threat, in percent.

    Attributes:
        text: the figure, or `invalid`.
        interval: its bounds, `78.8, 88.9`; empty where there is no figure.
        mark: the letter of its note, or empty.
        best: whether it is the best of its column.
    """

    text: str
    interval: str
    mark: str
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreatMatrix:
    """The headline in the shape of a paper's table: a row a model, a column a threat. In files only.

    Attributes:
        name: of its own file; several matrices may share one.
        label: tells those of one file apart.
        threats: norm and eps of each column.
        rows: the model, its clean accuracy in percent, and a score a column, None where it has none.
        notes: the letter of each, and what it says.
    """

    name: str
    label: str
    caption: str
    threats: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[Score | None, ...]], ...]
    notes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRows:
    """The comparisons of one claim.

    Attributes:
        title: the claim.
        tests: what its comparisons compare.
        rows: case, threat, then under the study's attack and, if any claim is tested under it, under the
            strongest both sides, their difference and p (or images and e-value), what is printed of it in a study, and last the
            verdict.
    """

    title: str
    tests: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """The comparisons behind the claims: two sides of one threat, under one or two attacks.

    Attributes:
        strongest: whether rows tell of the strongest attack.
        at_any_time: whether they tell images and e-value in place of p.
        printed: whether they tell what is printed.
    """

    caption: str
    strongest: bool
    at_any_time: bool
    printed: bool
    groups: tuple[ClaimRows, ...]
    notes: tuple[str, ...]


Block = (
    Text
    | Facts
    | Table
    | Figure
    | PublishedTable
    | ThreatMatrix
    | Comparisons
    | PictureGrid
    | Sheet
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report under one heading.

    Attributes:
        label: by which texts refer to it.
        title: the heading.
        blocks: in order.
    """

    label: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The run that a report is of, as its files name it.

    Attributes:
        started: ISO 8601 in UTC.
        version: of Crossfire; None where it was not recorded.
        data: the data sets of the run, by name.
        data_of: the data set of each model.
    """

    suite: str
    title: str
    started: str
    version: str | None
    images: int
    data: str
    split: str
    seed: int
    data_of: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report.

    Attributes:
        cells: how many cells are `done`, `failed` and `missing`.
    """

    origin: Origin
    cells: Mapping[str, int]
    sections: tuple[Section, ...]

"""Tables for LaTeX: the headline for a paper, all others for an appendix in one column, as `longtable`.

Names are data: every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from bench.report import formatting
from bench.report.blocks import (
    Block,
    Column,
    Document,
    Figure,
    Origin,
    PublishedTable,
    Table,
    ThreatMatrix,
)
from bench.report.render.faults import of_section
from bench.report.render.latex_headline import matrix_lines
from bench.report.render.latex_headline import preamble as headline_preamble
from bench.report.render.latex_text import first, label_text, latex, symbol, threat
from bench.report.render.layout import layout

_APPENDIX = "% For an appendix in one column. Needs \\usepackage{booktabs,longtable}."


def render(document: Document) -> dict[str, bytes]:
    """Return a file for each block with a name, `SUITE-NAME.tex` or `SUITE-NAME.pdf`.

    Raises:
        BenchError: something in a section cannot be printed.
    """
    origin = document.origin
    texts: dict[str, list[str]] = {}
    figures: dict[str, bytes] = {}
    for section in document.sections:
        with of_section(section.label):
            for block in section.blocks:
                if isinstance(block, Figure) and block.name:
                    figures[f"{origin.suite}-{block.name}.pdf"] = block.pdf
                name, head, lines = _lines(block, origin)
                if lines:
                    first_of_file = [provenance(origin), *head]
                    texts.setdefault(f"{origin.suite}-{name}.tex", first_of_file).extend(lines)
    written = {name: "\n".join([*lines, ""]).encode() for name, lines in texts.items()}
    return written | figures


def _lines(block: Block, origin: Origin) -> tuple[str, Sequence[str], Sequence[str]]:
    """Return the name of a block's file, what begins it, and the block's lines; none without a file."""
    match block:
        case ThreatMatrix():
            label = label_text(f"tab:{origin.suite}-{block.label}")
            return block.name, headline_preamble(), matrix_lines(block, label)
        case Table() if block.name and len(block.frame):
            label = label_text(f"tab:{origin.suite}-{block.name}")
            return block.name, [_APPENDIX], longtable(block, label)
        case PublishedTable():
            name = f"table-{block.number}"
            label = label_text(f"tab:{origin.suite}-{block.number}")
            return name, [_APPENDIX], published_lines(block, label)
        case _:
            return "", (), ()


def provenance(origin: Origin) -> str:
    """Return a comment that says what made a table, and from which run."""
    version = origin.version or "of no known version"
    made = f"Made by `bench report --suite {origin.suite} --format latex`, Crossfire {version}."
    images = f"{formatting.plural(origin.images, 'image')} of {origin.data}"
    run = (
        f"{origin.title}; run of {formatting.date(origin.started)}; {images} ({origin.split}), "
        f"seed {origin.seed}."
    )
    return "\n".join(f"% {' '.join(line.split())}" for line in (made, run))


def longtable(table: Table, label: str) -> list[str]:
    """Return a table as `longtable` with what all rows share once below it."""
    laid = layout(table)
    rows = [row for _, rows in laid.groups for row in rows]
    lengths = [
        max(len(part) for part in (*_parts(column.title), *(row[at] for row in rows)))
        for at, column in enumerate(laid.columns)
    ]
    size, formats = _fitted(laid.columns, lengths)
    caption = " ".join([table.caption, *laid.notes])
    head = " & ".join(_head(column.title) for column in laid.columns) + r" \\"
    lines = [
        f"{{\\{size}\\setlength{{\\tabcolsep}}{{3pt}}",
        f"\\begin{{longtable}}{{{formats}}}",
        f"\\caption{{{latex(caption)}}} \\label{{{label}}} \\\\",
        "\\toprule", head, "\\midrule", "\\endfirsthead", "\\toprule", head, "\\midrule", "\\endhead",
    ]  # fmt: skip
    for title, group in laid.groups:
        if title:
            lines.append(
                f"\\multicolumn{{{len(laid.columns)}}}{{l}}{{\\emph{{{symbol(title)}}}}} \\\\*"
            )
        for row in group:
            cells = [_cell(column, text) for column, text in zip(laid.columns, row, strict=True)]
            lines.append(" & ".join([first(cells[0]), *cells[1:]]) + r" \\")
    return [*lines, "\\bottomrule", "\\end{longtable}}"]


#: Width in points of an article in one column; sizes of type, with the room a character takes in each.
_TEXT = 335.0  # of 345
_SIZES = (("footnotesize", 4.1), ("scriptsize", 3.6), ("tiny", 3.1))
#: No column of text that breaks its lines is narrower than so many characters, where it is so long.
_NARROWEST = 12


def _fitted(columns: Sequence[Column], lengths: Sequence[int]) -> tuple[str, str]:
    """Return the size of type and the columns' formats at which a table is no wider than the text.

    As long as it is, the longest column of text breaks its lines; then the type gets smaller.
    """
    texts = [at for at, column in enumerate(columns) if not column.right]
    longest = sorted((at for at in texts if lengths[at] >= _NARROWEST), key=lambda at: -lengths[at])
    for size, room in _SIZES:
        for count in range(len(longest) + 1):
            broken = longest[:count]
            rest = sum(length for at, length in enumerate(lengths) if at not in broken)
            left = _TEXT - 6 * len(columns) - room * rest
            if left >= room * _NARROWEST * count:
                return size, _formats(columns, {at: lengths[at] for at in broken}, left)
    return size, _formats(columns, dict.fromkeys(longest, 1), _NARROWEST * room * len(longest))


def _formats(columns: Sequence[Column], broken: Mapping[int, int], left: float) -> str:
    # In proportion to the root of their lengths, so that the longest does not take all.
    shares = {at: length**0.5 for at, length in broken.items()}
    return "".join(
        f"p{{{left * shares[at] / sum(shares.values()):.0f}pt}}"
        if at in shares
        else ("r" if column.right else "l")
        for at, column in enumerate(columns)
    )


def _parts(title: str) -> tuple[str, ...]:
    """Return a head in one line, or in two: all but its last word, and this."""
    before, _, last = title.rpartition(" ")
    return (before, last) if before else (title,)


def _head(title: str) -> str:
    return _stack(_parts(title))


def _stack(parts: Sequence[str]) -> str:
    """Return the parts of a head below each other."""
    stacked = r" \\ ".join(map(latex, parts))
    return stacked if len(parts) == 1 else f"\\shortstack{{{stacked}}}"


def _cell(column: Column, text: str) -> str:
    if column.kind == "threat":
        return threat(text)
    return symbol(text) if column.kind == "norm" else latex(_minus(text) if column.right else text)


def _minus(figures: str) -> str:
    """Return figures with a minus sign before those below 0, in place of a hyphen."""
    return re.sub(r"(^|[\[ ])-(?=\d)", r"\1−", figures)


def published_lines(table: PublishedTable, label: str) -> list[str]:
    """Return a published table as `longtable`."""
    body = _stacked if table.stacked else _side_by_side
    columns, *lines = body(table)
    caption = " ".join([f"{table.caption}.", *table.notes])
    wide = table.stacked and len(table.data) > _WIDE
    return [
        *(["{\\tiny\\setlength{\\tabcolsep}{2pt}"] if wide else []),
        f"\\begin{{longtable}}{{{columns}}}",
        f"\\caption{{{latex(caption)}}} \\label{{{label}}} \\\\",
        "\\toprule",
        *lines,
        "\\bottomrule",
        "\\end{longtable}" + ("}" if wide else ""),
    ]


#: Of more columns than this, a stacked table is set in small type.
_WIDE = 4


def _side_by_side(table: PublishedTable) -> Iterator[str]:
    """Yield the columns, then the lines: of each cell the published figure, ours and its interval."""
    width = 2 + 3 * len(table.data)
    heads = [f"\\multicolumn{{3}}{{c}}{{{latex(data)}}}" for data in table.data]
    rules = [f"\\cmidrule(lr){{{3 * at + 3}-{3 * at + 5}}}" for at in range(len(table.data))]
    figures = ["published", "ours", latex(table.interval)] * len(table.data)
    yield f"ll{'rrl' * len(table.data)}"
    yield " & ".join(["", "", *heads]) + r" \\"
    yield " ".join(rules)
    yield " & ".join([latex(table.subject), "attack", *figures]) + r" \\"
    yield from ("\\midrule", "\\endhead")
    for title, rows in table.groups:
        yield f"\\multicolumn{{{width}}}{{l}}{{\\emph{{{latex(title)}}}}} \\\\"
        for row in rows:
            texts = [row.model, row.attack]
            for entry in row.entries:
                texts += [entry.published, entry.ours, entry.interval]
            yield _row(*texts)


def _stacked(table: PublishedTable) -> Iterator[str]:
    """Yield the columns, then the lines: the published figure, ours and its interval below each other."""
    yield f"ll{'r' * len(table.data)}"
    heads = [_stack(title.split(", ")) for title in table.data]
    yield " & ".join([latex(table.subject), "", *heads]) + r" \\"
    yield from ("\\midrule", "\\endhead")
    for row in (row for _, rows in table.groups for row in rows):
        printed = [entry.published for entry in row.entries]
        if set(printed) != {formatting.NONE}:
            yield _row(row.model, "published", *printed)
            yield _row("", "ours", *(entry.ours for entry in row.entries))
        else:
            yield _row(row.model, "ours", *(entry.ours for entry in row.entries))
        yield _row("", table.interval, *(entry.interval for entry in row.entries))


def _row(*texts: str) -> str:
    return " & ".join([first(latex(texts[0])), *map(latex, texts[1:])]) + r" \\"

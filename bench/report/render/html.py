"""Tables and drawings as pieces of HTML that need no other file, for notebooks.

Colours are those of the page around them, so that they can be read on a dark one, too.
"""

from __future__ import annotations

from html import escape

from bench.report.blocks import Column, Table
from bench.report.render.layout import layout

_CELL = "padding:0.15em 0.7em;vertical-align:top;text-align:"
_RULE = "border-bottom:1px solid currentColor;"


def table(block: Table) -> str:
    """Return a table with its caption above and its notes below; a group stands above its rows."""
    laid = layout(block)
    head = "".join(
        f'<th scope="col" style="{_RULE}{_style(column)}">{escape(column.title)}</th>'
        for column in laid.columns
    )
    body = []
    for title, rows in laid.groups:
        if title:
            body.append(
                f'<tr><th colspan="{len(laid.columns)}" style="{_CELL}left">{escape(title)}</th></tr>'
            )
        for row in rows:
            cells = zip(laid.columns, row, strict=True)
            body.append("<tr>" + "".join(map(_cell, cells)) + "</tr>")
    notes = "".join(paragraph(note) for note in laid.notes)
    return (
        f"{paragraph(block.caption)}<table style='border-collapse:collapse'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>{notes}"
    )


def heading(text: str) -> str:
    """Return a text as a heading."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str) -> str:
    """Return a text as a paragraph of its own."""
    return f"<p style='margin:0.6em 0 0.3em'>{escape(text)}</p>"


def drawing(svg: bytes, caption: str) -> str:
    """Return a drawing, an SVG file, with its caption below."""
    text = svg.decode()
    inside = text[text.index("<svg") :]  # without the head of a file of its own
    return (
        f"<figure style='margin:0.8em 0;display:inline-block;vertical-align:top;max-width:36em'>{inside}"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _cell(pair: tuple[Column, str]) -> str:
    column, text = pair
    return f'<td style="{_style(column)}">{escape(text)}</td>'


def _style(column: Column) -> str:
    return f"{_CELL}{'right' if column.right else 'left'}"

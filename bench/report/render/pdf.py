"""The report as PDF, set by typst.

The document reaches the template as one JSON file, never as program text, so that no name or message
can break it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.errors import BenchError, StoreError
from bench.report import formatting
from bench.report.blocks import (
    Block,
    Document,
    Figure,
    Origin,
    Section,
    Table,
    ThreatMatrix,
)
from bench.report.picture_blocks import PictureGrid, Sheet
from bench.report.render.faults import of_section
from bench.report.render.layout import layout, shortened

_TEMPLATE = "report.typ"


def render(document: Document) -> dict[str, bytes]:
    """Return the report as one file; the same document gives the same bytes.

    Raises:
        BenchError: something in a section cannot be printed, or typst cannot set it.
        StoreError: there is no room for temporary files.
    """
    attachments: dict[str, bytes] = {}
    data = _plain(document, attachments)
    attachments["report.json"] = json.dumps(data, allow_nan=False).encode()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in attachments.items():
                (Path(folder) / name).write_bytes(content)
            made = _set(Path(folder), document.origin)
    except OSError as error:
        raise StoreError(
            f"the report of {document.origin.suite} needs a folder for temporary files ({error}); free some space, "
            f"or name another folder with TMPDIR"
        ) from error
    return {f"{document.origin.suite}.pdf": made}


def _set(root: Path, origin: Origin) -> bytes:
    """Return the PDF of the document in a folder."""
    import typst

    for source in files(__package__).iterdir():
        if source.name.endswith(".typ"):
            (root / source.name).write_bytes(source.read_bytes())
    try:
        made: bytes = typst.compile(
            root / _TEMPLATE,
            root=root,
            format="pdf",
            ignore_system_fonts=True,
            timestamp=formatting.moment(origin.started),
        )
    except typst.TypstError as error:
        raise BenchError(f"the report of {origin.suite} could not be set: {error}") from error
    return made


def _plain(document: Document, attachments: dict[str, bytes]) -> dict[str, Any]:
    """Return a document as plain values, and attach the files that it places."""

    def attach(content: bytes, ending: str) -> str:
        name = f"file-{len(attachments)}.{ending}"
        attachments[name] = content
        return name

    return {
        "title": document.origin.title,
        "suite": document.origin.suite,
        "date": formatting.date(document.origin.started),
        "cells": dict(document.cells),
        "sections": [_section(section, attach) for section in document.sections],
    }


#: Attaches a file with an ending and returns its name.
Attach = Callable[[bytes, str], str]


def _section(section: Section, attach: Attach) -> dict[str, Any]:
    with of_section(section.label):
        blocks = [plain for block in section.blocks if (plain := _block(block, attach))]
        made = {"label": section.label, "title": section.title, "blocks": blocks}
        json.dumps(made, allow_nan=False)  # here, where it is known which section fails
    return made


def _block(block: Block, attach: Attach) -> dict[str, Any] | None:
    """Return a block as plain values with its kind; None for what stands in files alone."""
    match block:
        case ThreatMatrix():
            return None
        case Table():
            return _table(shortened(block)) if block.inline and len(block.frame) else None
        case Figure():
            plain: dict[str, Any] = {
                "file": attach(block.pdf, "pdf"), "caption": block.caption, "wide": block.wide,
            }  # fmt: skip
        case PictureGrid():
            plain = _grid(block, attach)
        case Sheet():
            plain = _sheet(block, attach)
        case _:
            plain = asdict(block)
    return {"kind": type(block).__name__, **plain}


def _table(table: Table) -> dict[str, Any]:
    laid = layout(table)
    return {
        "kind": "Table",
        "caption": table.caption,
        "columns": [
            {
                "title": column.title,
                "kind": column.kind,
                "share": column.share,
                "right": column.right,
            }
            for column in laid.columns
        ],
        "groups": [{"title": title, "rows": rows} for title, rows in laid.groups],
        "notes": laid.notes,
    }


def _grid(grid: PictureGrid, attach: Attach) -> dict[str, Any]:
    return {
        "model": grid.model,
        "columns": [
            {"attack": column.attack, "threat": column.threat, "toolkit": column.toolkit,
             "factor": column.factor}
            for column in grid.columns
        ],
        "rows": [
            {
                "original": attach(original.png, "png"),
                "label": original.below,
                "pairs": [
                    {
                        "change": attach(column.pairs[turn][0].png, "png"),
                        "distance": column.pairs[turn][0].below,
                        "adversarial": attach(column.pairs[turn][1].png, "png"),
                        "label": column.pairs[turn][1].below,
                    }
                    for column in grid.columns
                ],
            }
            for turn, original in enumerate(grid.originals)
        ],
    }  # fmt: skip


def _sheet(sheet: Sheet, attach: Attach) -> dict[str, Any]:
    return {
        "model": sheet.model,
        "index": sheet.index,
        "original": attach(sheet.original.png, "png"),
        "label": sheet.original.below,
        "without": sheet.without,
        "explained": sheet.explained,
        "panels": [
            {
                "attack": panel.attack, "toolkit": panel.toolkit, "norm": panel.norm,
                "size": panel.size, "factor": panel.factor, "fooled": panel.fooled,
                "label": panel.tried.below, "tried": attach(panel.tried.png, "png"),
                "added": attach(panel.added, "png"),
            }
            for panel in sheet.panels
        ],
    }  # fmt: skip

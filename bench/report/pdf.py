"""The report of a run as files: PDF through typst, CSV of raw numbers, LaTeX tables.

Everything is made from stored rows; no cell is ever run here. Data reach the template as one JSON
file, never as program text, so that no name or message can break it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.registry import unknown
from bench.report import words
from bench.report.figures import accuracy_figures, caption
from bench.report.gallery import Sheet, gallery
from bench.report.pictures import Grid, picture_grid
from bench.report.tables import (
    Measured,
    Table,
    all_tables,
    failure_table,
    measure,
    numeric,
    parameter_table,
)
from bench.store.files import atomic_write
from bench.store.results import Results


def write_report(
    results: Results, out: Path, formats: Collection[str] = ("pdf", "csv")
) -> dict[str, list[Path]]:
    """Write the report of a run and return the files of each format.

    Args:
        results: the cells of a suite's last run.
        out: the folder to write to; made where it is missing.
        formats: of `pdf` (one file), `csv` (raw numbers) and `latex` (tables for a paper).

    Raises:
        SpecError: a format that is none of these.
        StoreError: a file cannot be written.
    """
    makers: dict[str, Callable[[Results, Measured], dict[str, bytes]]] = {
        "pdf": _pdf,
        "csv": _csv,
        "latex": _latex,
    }
    for name in formats:
        if name not in makers:
            raise unknown("report format", name, list(makers))
    measured = measure(results)
    written: dict[str, list[Path]] = {}
    for name in formats:
        made = makers[name](results, measured)
        for file, content in made.items():
            atomic_write(out / file, content)
        written[name] = [out / file for file in made]
    return written


def _pdf(results: Results, measured: Measured) -> dict[str, bytes]:
    """Return the report as PDF; the same results give the same bytes."""
    import typst

    document, attachments = _document(results, measured)
    template = files("bench.report").joinpath("report.typ").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "report.typ").write_bytes(template)
        (root / "report.json").write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
        for name, content in attachments.items():
            (root / name).write_bytes(content)
        try:
            made: bytes = typst.compile(
                root / "report.typ",
                root=root,
                format="pdf",
                ignore_system_fonts=True,
                timestamp=words.moment(results.started),
            )
        except typst.TypstError as error:
            raise BenchError(f"the report of {results.suite} could not be set: {error}") from error
    return {f"{results.suite}.pdf": made}


def _csv(results: Results, measured: Measured) -> dict[str, bytes]:
    frames = {
        "headline": measured.headline,
        "attacks": measured.attacks,
        "parity": measured.parity,
        **({"transfer": measured.transfer} if len(measured.transfer) else {}),
    }
    return {
        f"{results.suite}-{name}.csv": frame.to_csv(index=False, lineterminator="\n").encode()
        for name, frame in frames.items()
    }


def _latex(results: Results, measured: Measured) -> dict[str, bytes]:
    return {
        f"{results.suite}-{table.name}.tex": latex(
            table, f"tab:{results.suite}-{table.name}"
        ).encode()
        for table in all_tables(results, measured)
        if len(table.frame)
    }


def latex(table: Table, label: str) -> str:
    """Return a table for LaTeX: `longtable` with `booktabs` rules, every text escaped."""
    frame = table.frame
    cells = frame.map(words.latex)
    if "threat" in frame:
        cells["threat"] = frame["threat"].map(_threat_latex)
    made: str = (
        cells.rename(columns=words.latex)
        .style.hide(axis="index")
        .to_latex(
            environment="longtable",
            hrules=True,
            column_format="".join("r" if numeric(column) else "l" for column in frame.columns),
            caption=words.latex(table.caption),
            label=label,
        )
    )
    return made


def _threat_latex(threat: str) -> str:
    norm, _, radius = threat.partition(" ")
    symbol = r"\infty" if norm == "linf" else norm[1:]
    return f"$\\ell_{{{symbol}}}$ {words.latex(radius)}"



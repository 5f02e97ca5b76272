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
from bench.report.claims import compact
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
    results: Results,
    out: Path,
    formats: Collection[str] = ("pdf", "csv"),
    measured: Measured | None = None,
) -> dict[str, list[Path]]:
    """Write the report of a run and return the files of each format.

    Args:
        results: the cells of a suite's last run.
        out: the folder to write to; made where it is missing.
        formats: of `pdf` (one file), `csv` (raw numbers) and `latex` (tables for a paper).
        measured: of `bench.report.tables.measure`, where it is at hand.

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
    measured = measure(results) if measured is None else measured
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
        **(
            {"claims": measured.claims, "comparisons": measured.comparisons}
            if results.claims
            else {}
        ),
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
    if not radius:  # clean images
        return words.latex(threat)
    symbol = r"\infty" if norm == "linf" else norm[1:]
    return f"$\\ell_{{{symbol}}}$ {words.latex(radius)}"


def _document(results: Results, measured: Measured) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the template needs, and the files it places, by name."""
    tables = {table.name: table for table in all_tables(results, measured)}
    drawn = accuracy_figures(measured.curve, measured.headline)
    grid = picture_grid(results)
    moved, claimed = tables.get("transfer"), tables.get("claims")
    attachments = {f"accuracy-{figure.norm}.pdf": figure.pdf for figure in drawn}
    document = {
        "title": results.title,
        "suite": results.suite,
        "date": words.date(results.started),
        "cells": _cells(results),
        "protocol": _protocol(results),
        "left_out": list(results.left_out),
        "headline": _table(tables["headline"].frame, tables["headline"].caption),
        "claims": _table(claimed.frame, claimed.caption) if claimed else None,
        "comparisons": compact(results, measured.comparisons),
        "failures": _table(failure_table(results), "Cells that failed or were never run."),
        "figures": [
            {
                "file": f"accuracy-{figure.norm}.pdf",
                "wide": figure.wide,
                "norm": figure.norm,
                "caption": caption(figure),
            }
            for figure in drawn
        ],
        "grid": _grid(grid, attachments) if grid else None,
        "gallery": [
            _sheet(turn, sheet, attachments) for turn, sheet in enumerate(gallery(results))
        ],
        "agreement": _agreement(tables["parity"].frame),
        "parity": _parity(tables["parity"]),
        "attacks": _table(tables["attacks"].frame, tables["attacks"].caption),
        "cost": _table(tables["cost"].frame, tables["cost"].caption),
        "transfer": _table(moved.frame, moved.caption) if moved else None,
        "parameters": _table(
            parameter_table(results), "Attacks as they ran, with every parameter written out."
        ),
    }
    return document, attachments


def _table(frame: pd.DataFrame, caption: str, notes: Collection[str] = ()) -> dict[str, Any] | None:
    """Return a table for the template, its rows grouped by model; None for an empty one."""
    if frame.empty:
        return None
    silent = [name for name in ("note", "error") if name in frame and not frame[name].any()]
    shown = frame.drop(columns=silent)
    columns = [column for column in shown.columns if column != "model"]
    groups = (
        [(model, rows) for model, rows in shown.groupby("model", sort=False)]
        if "model" in shown
        else [("", shown)]
    )
    return {
        "caption": caption,
        "notes": list(notes),
        "columns": [
            {"title": column, "align": "right" if numeric(column) else "left"} for column in columns
        ],
        "groups": [
            {"title": str(model), "rows": rows[columns].astype(str).to_numpy().tolist()}
            for model, rows in groups
        ],
    }


def _parity(table: Table) -> dict[str, Any] | None:
    """Return the parity table with its causes as lettered notes, which are too long for a column."""
    frame = table.frame
    marks = words.lettered(frame["cause"])
    expected = [
        f"{expected} ({marks[cause]})" if cause else expected
        for expected, cause in zip(frame["expected"], frame["cause"], strict=True)
    ]
    return _table(
        frame.assign(expected=expected).drop(columns="cause"),
        table.caption,
        [f"({mark}) {cause}." for cause, mark in marks.items()],
    )


def _agreement(frame: pd.DataFrame) -> str:
    """Return in words how many comparisons came out as expected."""
    counts = frame["result"].value_counts()
    said = [
        f"{counts.get('pass', 0)} of {len(frame)} comparisons of two toolkits came out as expected"
    ]
    if counts.get("FAIL", 0):
        said.append(f"{counts['FAIL']} did not (FAIL)")
    incomparable = int((frame["expected"] == "differs").sum())
    unjudged = counts.get("not judged", 0) - incomparable
    if unjudged:
        said.append(f"{unjudged} could not be judged")
    if incomparable:
        said.append(f"{incomparable} compared two algorithms of one name, which is not judged")
    return "; ".join(said) + "."


def _cells(results: Results) -> dict[str, int]:
    counts = results.cells["status"].value_counts()
    return {status: int(counts.get(status, 0)) for status in ("done", "failed", "missing")}


def _protocol(results: Results) -> list[tuple[str, str]]:
    """Return the protocol as pairs of a word and what it was."""
    protocol: Mapping[str, Any] = results.protocol
    cells = results.cells
    counts = _cells(results)
    state = [f"{counts['done']} of {len(cells)} done"]
    state += [f"{counts[status]} {status}" for status in ("failed", "missing") if counts[status]]
    versions = protocol["versions"]
    images = protocol["images"]
    smoke = f" (smoke: n < {words.SMOKE})" if images < words.SMOKE else ""
    said = [
        ("Data", f"{protocol['data']}, split {protocol['split']}, first {images} images{smoke}"),
        ("Models", ", ".join(model["model"] for model in results.models)),
        ("Attacks", ", ".join(cells["attack"].unique())),
        ("Threats", ", ".join(_threats(cells))),
        ("Cells", ", ".join(state)),
        ("Seed, batch size", f"{protocol['seed']}, {protocol['batch_size']}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("Machine", f"{protocol['host']}, {protocol['device']}"),
    ]
    return [(name, value) for name, value in said if value]


def _threats(cells: pd.DataFrame) -> list[str]:
    said = (words.threat(norm, eps) for norm, eps in zip(cells["norm"], cells["eps"], strict=True))
    return list(dict.fromkeys(said))


def _grid(grid: Grid, attachments: dict[str, bytes]) -> dict[str, Any]:
    """Return the grid of pictures for the template, and attach its images."""

    def place(name: str, png: bytes) -> str:
        attachments[name] = png
        return name

    return {
        "model": grid.model,
        "columns": [
            {
                "attack": column.attack,
                "threat": column.threat,
                "toolkit": column.toolkit,
                "factor": column.factor,
            }
            for column in grid.columns
        ],
        "rows": [
            {
                "original": place(f"image-{turn}.png", original.png),
                "label": original.below,
                "pairs": [
                    {
                        "change": place(f"change-{turn}-{at}.png", column.pairs[turn][0].png),
                        "distance": column.pairs[turn][0].below,
                        "adversarial": place(f"tried-{turn}-{at}.png", column.pairs[turn][1].png),
                        "label": column.pairs[turn][1].below,
                    }
                    for at, column in enumerate(grid.columns)
                ],
            }
            for turn, original in enumerate(grid.originals)
        ],
    }


def _sheet(turn: int, sheet: Sheet, attachments: dict[str, bytes]) -> dict[str, Any]:
    """Return a sheet of the gallery for the template, and attach its images."""
    attachments[f"sheet-{turn}.png"] = sheet.original.png
    panels = []
    for at, panel in enumerate(sheet.panels):
        tried, added = f"panel-{turn}-{at}.png", f"added-{turn}-{at}.png"
        attachments |= {tried: panel.tried.png, added: panel.added}
        panels.append({
            "attack": panel.attack, "toolkit": panel.toolkit, "norm": panel.norm,
            "size": panel.size, "factor": panel.factor, "fooled": panel.fooled,
            "label": panel.tried.below, "tried": tried, "added": added,
        })  # fmt: skip
    return {
        "model": sheet.model,
        "index": sheet.index,
        "original": f"sheet-{turn}.png",
        "label": sheet.original.below,
        "panels": panels,
        "without": list(sheet.without),
    }

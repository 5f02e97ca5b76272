"""The report of a run as files: PDF through typst, CSV of raw numbers, LaTeX tables.

Everything is made from stored rows; no cell is ever run here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

from bench.registry import unknown
from bench.report.document import document, frames, origin
from bench.report.findings import Findings, find
from bench.report.kept import put_in_place
from bench.report.measured import Measured, measure
from bench.report.render import csv, latex, pdf
from bench.store.results import Results


def write_report(
    results: Results,
    out: Path,
    formats: Collection[str] = ("pdf", "csv"),
    published: Path | None = None,
    measured: Measured | None = None,
) -> dict[str, list[Path]]:
    """Write the report of a run and return the files of each format.

    Args:
        results: the cells of a run.
        out: the folder to write to; made where it is missing.
        formats: as for `write_findings`.
        published: the file of a study's published figures; None for a suite that is no study.
        measured: of `bench.report.measured.measure`, where it is at hand.

    Raises:
        SpecError: a format that there is not, or a broken file of published figures.
        BenchError: a section fails; no file is written then.
        StoreError: a file cannot be written.
    """
    known = measure(results) if measured is None else measured
    return write_findings(find(results, known, published), out, formats)


def write_findings(
    findings: Findings, out: Path, formats: Collection[str]
) -> dict[str, list[Path]]:
    """Write the report of what was found in a run and return the files of each format.

    Args:
        findings: of `bench.report.findings.find`.
        out: the folder to write to; made where it is missing.
        formats: of `pdf` (one file), `csv` (raw numbers) and `latex` (tables for a paper, and of a
            study its figures).

    Raises:
        SpecError: a format that is none of these.
        BenchError: a section fails; no file is written then.
        StoreError: a file cannot be written.
    """
    results, whole = findings.results, cache(lambda: document(findings))
    renderers: dict[str, Callable[[], dict[str, bytes]]] = {
        "pdf": lambda: pdf.render(whole()),
        "csv": lambda: csv.render(origin(results), frames(findings)),
        "latex": lambda: latex.render(whole()),
    }
    for name in formats:
        if name not in renderers:
            raise unknown("report format", name, list(renderers))
    made = {name: renderers[name]() for name in formats}  # all, before any file is written
    put_in_place(results, out, made)
    return {name: [out / file for file in files] for name, files in made.items()}

"""The report of a run as files: PDF through typst, CSV of raw numbers, LaTeX tables.

Everything is made from stored rows; no cell is ever run here. Data reach the template as one JSON
file, never as program text, so that no name or message can break it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection
from importlib.resources import files
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.registry import unknown
from bench.report import formatting
from bench.report.document import run_document
from bench.report.kept import keep
from bench.report.latex import appendix_head, appendix_latex, headline_latex, label_text
from bench.report.study import Reported, reported, study_document
from bench.report.study_tables import published_latex
from bench.report.tables import Measured, all_tables, measure
from bench.store.files import atomic_write
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
        formats: of `pdf` (one file), `csv` (raw numbers) and `latex` (tables for a paper, and of a
            study its figures).
        published: the file of a study's published figures; None for a suite that is no study.
        measured: of `bench.report.tables.measure`, where it is at hand.

    Raises:
        SpecError: a format that is none of these, or a broken file of published figures.
        StoreError: a file cannot be written.
    """
    makers: dict[str, Callable[[Results, Measured, Reported | None], dict[str, bytes]]] = {
        "pdf": _pdf,
        "csv": _csv,
        "latex": _latex,
    }
    for name in formats:
        if name not in makers:
            raise unknown("report format", name, list(makers))
    measured = measure(results) if measured is None else measured
    study = None if published is None else reported(results, measured, published)
    written: dict[str, list[Path]] = {}
    for name in formats:
        made = makers[name](results, measured, study)
        for file, content in made.items():
            atomic_write(out / file, content, "--out DIR")
        written[name] = [out / file for file in made]
    keep(results, out, {name: [path.name for path in made] for name, made in written.items()})
    return written


def _pdf(results: Results, measured: Measured, study: Reported | None) -> dict[str, bytes]:
    """Return the report as PDF; the same results give the same bytes."""
    import typst

    if study is None:
        template, (document, attachments) = "report.typ", run_document(results, measured)
    else:
        template, (document, attachments) = "study.typ", study_document(results, measured, study)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in (template, "common.typ"):
            (root / name).write_bytes(files("bench.report").joinpath(name).read_bytes())
        (root / "report.json").write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
        for name, content in attachments.items():
            (root / name).write_bytes(content)
        try:
            made: bytes = typst.compile(
                root / template,
                root=root,
                format="pdf",
                ignore_system_fonts=True,
                timestamp=formatting.moment(results.started),
            )
        except typst.TypstError as error:
            raise BenchError(f"the report of {results.suite} could not be set: {error}") from error
    return {f"{results.suite}.pdf": made}


def _csv(results: Results, measured: Measured, study: Reported | None) -> dict[str, bytes]:
    frames = {
        "headline": measured.headline,
        **({"grid": measured.grid} if len(measured.grid) else {}),
        "attacks": measured.attacks,
        "parity": measured.parity,
        **({"transfer": measured.transfer} if len(measured.transfer) else {}),
        **({"radius": measured.radii} if len(measured.radii) else {}),
        **_certified(measured),
        **({"published": study.comparison} if study else {}),
        **(
            {"claims": measured.claims, "comparisons": measured.comparisons}
            if results.claims
            else {}
        ),
    }
    return {
        f"{results.suite}-{name}.csv": _whence(results, frame)
        .to_csv(index=False, lineterminator="\n")
        .encode()
        for name, frame in frames.items()
    }


#: What columns are called in tables for people and in files alike.
_CALLED = {"worst": "strongest", "flag": "note"}


def _whence(results: Results, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with what tells its rows from those of another run, so that files can be pooled."""
    protocol = results.protocol
    data_of = {str(model["model"]): str(model["data"]) for model in results.models}
    every = formatting.data(protocol)
    if "model" in frame and "data" not in frame:
        data = [data_of.get(str(model), every) for model in frame["model"]]
    else:
        data = list(frame["data"]) if "data" in frame else [every] * len(frame)
    called = {old: new for old, new in _CALLED.items() if new not in frame}
    return frame.rename(columns=called).assign(
        suite=results.suite, dataset=data, split=protocol["split"], run_seed=protocol["seed"],
        run_started=results.started, version=protocol["versions"].get("crossfire"),
    )  # fmt: skip


def _certified(measured: Measured) -> dict[str, pd.DataFrame]:
    """Return the frames of certificates, of a run that has some."""
    found = {
        "certificates": measured.certificates,
        "certified": measured.certified,
        "sandwich": measured.sandwich,
    }
    return {name: frame for name, frame in found.items() if len(frame)}


def _latex(results: Results, measured: Measured, study: Reported | None) -> dict[str, bytes]:
    suite = results.suite
    tables = all_tables(results, measured) if study is None else study.tables
    made = {
        f"{suite}-{table.name}.tex": appendix_latex(results, table).encode()
        for table in tables
        if len(table.frame) and table.name != "headline"
    }
    if len(measured.headline):
        called = None if study is None else study.called
        made = {f"{suite}-headline.tex": headline_latex(results, measured, called).encode(), **made}
    if study is None:
        return made
    head = "\n".join([*appendix_head(results), ""])
    made |= {
        f"{suite}-table-{table.number}.tex": (
            head + published_latex(table, label_text(f"tab:{suite}-{table.number}"))
        ).encode()
        for table in study.published
    }
    return made | {f"{suite}-{figure.name}.pdf": figure.pdf for figure in study.figures}

"""The report of a study: what was published, and ours beside it; what `study.typ` places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.measure.published import read_published
from bench.measure.source import read_source
from bench.report.blocks import agreement, front_block, table_block
from bench.report.sections.claims import CLAIMS, claim_table, compact
from bench.report.source import Opening, opening
from bench.report.study_kind import Picture, PublishedTable, Study, study_named
from bench.report.study_tables import (
    agreement_counts,
    critical_table,
    mark_notes,
    published_tables,
    short_cost,
    short_failures,
    short_headline,
    surrogate_table,
)
from bench.report.tables import Measured, Table, certified_tables, parameter_table, parity_table
from bench.store.results import Results
from bench.suite_files import document_file

#: Of more comparisons that did not come out as expected, the rest is in the CSV file.
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the report of a study has more than that of a suite.

    Attributes:
        opening: what it opens with.
        comparison: the published figures beside ours.
        published: its tables in the published shape.
        tables: short ones of the whole run.
        how: what stands above the published tables.
        called: the models of the short headline, and what each is called.
    """

    opening: Opening
    comparison: pd.DataFrame
    published: tuple[PublishedTable, ...]
    tables: tuple[Table, ...]
    figures: tuple[Picture, ...]
    how: str
    called: Mapping[str, str]


def reported(results: Results, measured: Measured, published: Path) -> Reported:
    """Return the tables and figures of a study.

    Args:
        results: the cells of a suite's last run.
        measured: its figures.
        published: the file of the published ones.

    Raises:
        SpecError: that file or the one of its document is broken.
    """
    figures = read_published(published)
    study = study_named(figures["study"].iloc[0]) if len(figures) else Study()
    beside = study.beside(results, measured, figures)
    return Reported(
        opening=opening(results, beside, study, read_source(document_file(published))),
        comparison=beside,
        published=tuple(study.tables(beside) if study.tables else published_tables(beside, study)),
        tables=(
            short_headline(results, measured, study),
            agreement_counts(measured),
            short_cost(results, measured, study),
            surrogate_table(results, study),
            critical_table(results, measured, study),
            *certified_tables(measured),
        ),
        figures=tuple(study.figures(results, measured, beside)),
        how=study.how,
        called={
            str(model): study.called(str(model).partition("/")[2])
            for model in measured.headline["model"].unique()
            if study.shown(str(model).partition("/")[2])
        },
    )


def study_document(
    results: Results, measured: Measured, study: Reported
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the template needs, and the files it places, by name."""
    sections = [
        _section("headline", "Robust accuracy", *_headline(results, study)),
        _section("radii", "Critical eps", _table(study.tables[4])),
        _section("certificates", "Certificates", *map(_table, study.tables[5:])),
        _section("claims", "Claims", *_claims(results, measured)),
        _section("figures", "Figures", *_figures(results, study)),
        _section("published", "Published and ours", *_published(results, study)),
        _section("comparisons", "Claims, one comparison at a time", *_compared(results, measured)),
        _section("agreement", "Agreement of the toolkits", *_agreement(results, measured, study)),
        _section("surrogates", "Surrogates of a vote", _table(study.tables[3])),
        _section("cost", "Cost", _table(study.tables[2])),
        _section(
            "parameters", "Parameters",
            table_block(parameter_table(results), "Attacks with every parameter written out."),
        ),
        _section(
            "failures", "Cells without a result",
            table_block(short_failures(results), "Cells that failed or were never run."),
        ),
    ]  # fmt: skip
    document = {
        **front_block(results),
        "opening": asdict(study.opening),
        "sections": [section for section in sections if section["blocks"]],
    }
    return document, {f"{figure.name}.pdf": figure.pdf for figure in study.figures}


def _section(label: str, title: str, *blocks: Any) -> dict[str, Any]:
    """Return a section for the template; a block is a text, a table or a figure, None is left out."""
    kept = [
        {"kind": "text", "text": block} if isinstance(block, str) else {"kind": "table", **block}
        for block in blocks
        if block
    ]
    return {"label": label, "title": title, "blocks": kept}


def _table(table: Table, *notes: str) -> dict[str, Any] | None:
    group = "data" if "data" in table.frame else "model"
    return table_block(table.frame, table.caption, notes, group)


def _figures(results: Results, study: Reported) -> list[Any]:
    drawn = [
        {
            "kind": "figure",
            "file": f"{figure.name}.pdf",
            "caption": figure.caption,
            "wide": figure.wide,
        }
        for figure in study.figures
    ]
    unfinished = drawn and (results.cells["status"] != "done").any()
    note = "Some cells have no result; what is drawn is the worst case over those that have one."
    return [note, *drawn] if unfinished else drawn


def _claims(results: Results, measured: Measured) -> list[Any]:
    if not results.claims:
        return []
    return [table_block(claim_table(results, measured.claims), CLAIMS)]


def _compared(results: Results, measured: Measured) -> list[Any]:
    compared = compact(results, measured.comparisons)
    return [] if compared is None else [{**compared, "kind": "comparisons"}]


def _headline(results: Results, study: Reported) -> list[Any]:
    table = study.tables[0]
    notes = mark_notes("".join(str(text) for column in table.frame for text in table.frame[column]))
    return [
        f"The headline of every model of the run is in {results.suite}-headline.csv.",
        _table(table, *notes),
    ]


def _published(results: Results, study: Reported) -> list[Any]:
    return [
        f"{study.how} {results.suite}-published.csv.",
        *({"kind": "published", **asdict(table)} for table in study.published),
    ]


def _agreement(results: Results, measured: Measured, study: Reported) -> list[Any]:
    if measured.parity.empty:
        return ["No attack of this run was made by two toolkits."]
    said = parity_table(results, measured.parity)
    failing = said[said["result"] == "FAIL"].drop(columns=["result", "cause"])
    rest = (
        f" The first {_SHOWN}; all are in {results.suite}-parity.csv."
        if len(failing) > _SHOWN
        else ""
    )
    return [
        agreement(said),
        _table(study.tables[1]),
        table_block(failing.head(_SHOWN), f"Comparisons that did not come out as expected.{rest}"),
    ]

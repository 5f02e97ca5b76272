"""The published tables, with ours in every cell."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from bench.measure.published import CLEAN
from bench.measure.validity import unseen_noise
from bench.report import formatting
from bench.report.blocks import Entry, PublishedTable, Row, Section, Text
from bench.report.findings import Findings
from bench.report.labels import BY_ONE_DRAW, PARTIAL, data_name, mark_notes
from bench.report.rules import SectionRule
from bench.report.study import Study


def section(findings: Findings) -> Section | None:
    """Return the tables of a study in the published shape."""
    study, beside = findings.study, findings.beside
    if beside is None:
        return None
    tables = study.tables(beside) if study.tables else published_tables(beside, study)
    how = Text(text=f"{study.how} {findings.results.suite}-published.csv.")
    return Section(label="published", title="Published and ours", blocks=(how, *tables))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the published figures beside ours."""
    return {} if findings.beside is None else {"published": findings.beside}


def published_tables(comparison: pd.DataFrame, study: Study) -> list[PublishedTable]:
    """Return the published tables with ours in every cell.

    Args:
        comparison: of `bench.measure.published.comparison`.
        study: how things are called.
    """
    return [
        _published_table(str(number), rows, study)
        for number, rows in comparison.groupby("table", sort=False)
    ]


def _published_table(number: str, rows: pd.DataFrame, study: Study) -> PublishedTable:
    data = [str(name) for name in rows["data"].unique()]
    letters = formatting.lettered(rows["note"])
    called = _distinct({str(model): study.called(str(model)) for model in rows["model"].unique()})
    groups = []
    for (printed, eps), block in rows.groupby(["eps_published", "eps"], sort=False):
        found = {
            (row["model"], row["attack"], row["data"]): figure_entry(row, letters)
            for row in block.to_dict("records")
        }
        lines = dict.fromkeys((model, attack) for model, attack, _ in found)
        absent = Entry(published=formatting.NONE, ours=formatting.NONE, interval="")
        made = tuple(
            Row(
                model=called[model],
                attack=formatting.NONE if attack == CLEAN else attack.upper(),
                entries=tuple(found.get((model, attack, name), absent) for name in data),
            )
            for model, attack in lines
        )
        clean = set(block["attack"]) == {CLEAN}
        groups.append(("clean images" if clean else _radius(str(printed), str(eps)), made))
    marks = mark_notes(_marks(row) for row in rows.to_dict("records"))
    return PublishedTable(
        number=number,
        caption=study.captions.get(number, "As published, and ours"),
        data=tuple(data_name(name) for name in data),
        groups=tuple(groups),
        notes=(*formatting.in_letters(letters), *marks),
    )


def _distinct(called: dict[str, str]) -> dict[str, str]:
    """Return the names without the parts that all of them have, which the caption says."""
    parts = {model: name.split(", ") for model, name in called.items()}
    shared = set.intersection(*map(set, parts.values()))
    if any(shared.issuperset(own) for own in parts.values()):
        return called
    return {
        model: ", ".join(part for part in own if part not in shared) for model, own in parts.items()
    }


def _radius(printed: str, eps: str) -> str:
    if printed == eps:
        return f"ε = {eps}"
    free = ", every pixel free" if eps == "1" else ""
    return f"ε = {printed} as printed, read as {eps}{free}"


def figure_entry(row: Mapping[Hashable, Any], letters: Mapping[str, str]) -> Entry:
    """Return a published accuracy with ours, from a row of `bench.measure.published.comparison`.

    Args:
        row: one published figure.
        letters: of the notes.
    """
    note = f" ({letters[str(row['note'])]})" if row["note"] else ""
    printed = formatting.NONE if formatting.missing(row["published"]) else f"{row['published']:.2f}"
    if formatting.missing(row["ours"]):
        return Entry(published=printed + note, ours=formatting.NONE, interval="")
    return Entry(
        published=printed + note,
        ours=f"{row['ours']:.1f}",
        interval=f"[{row['low']:.1f}, {row['high']:.1f}]{_marks(row)}",
    )


def _marks(row: Mapping[Hashable, Any]) -> str:
    """Return the marks of a figure of ours that may be too high."""
    if formatting.missing(row["ours"]):
        return ""
    prefix = "ours on "
    surfaces = {
        str(name).removeprefix(prefix)
        for name, figure in row.items()
        if str(name).startswith(prefix) and not formatting.missing(figure)
    }
    partial = PARTIAL if row["cells"] < row["planned"] else ""
    return partial + (BY_ONE_DRAW if unseen_noise(surfaces) else "")


SECTION = SectionRule(name="published", place=100, make=section, frames=frames)

"""The study of defences: its table with ours beside it, what a noise draw hides, and certificates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.published import CLEAN, comparison
from bench.measure.statistics import wilson
from bench.report import formatting
from bench.report.blocks import Entry, PublishedTable, Row
from bench.report.labels import BY_ONE_DRAW, mark_notes
from bench.report.measured import Measured
from bench.report.sections.published import figure_entry
from bench.report.study import Study
from bench.spec import EXPECTED_SURFACE, NOISELESS_SURFACE, ONE_DRAW_SURFACE
from bench.store.results import Results
from bench.studies.defences.figures import figures

_NAMES = {
    "basic": "basic",
    "noisy": "noise training",
    "pgd-l2-at": "PGD-l2 training",
    "pgd-linf-at": "PGD-linf training",
    "mixed-at": "mixed training",
    "randomized-smoothing": "randomized smoothing",
}
_SURFACES = {
    ONE_DRAW_SURFACE: f"one noise draw {BY_ONE_DRAW}",
    EXPECTED_SURFACE: "expected gradient",
    NOISELESS_SURFACE: f"network without noise {BY_ONE_DRAW}",
}
_HOW = (
    "In each cell the published accuracy in percent, ours, and its 95 % Wilson interval. Ours is the "
    "share of all images that withstood this attack on every surface and by every toolkit of the run, "
    "per image; of the smoothed model that on each surface alone stands below. Where the study trains "
    "under l2 attacks of its own radius of 0.045, ours are of 0.5. Further columns are in"
)


def _called(model: str) -> str:
    name, _, options = model.partition("-sigma=")
    return _NAMES.get(name, name) + (f", σ = {options}" if options else "")


def _beside(results: Results, measured: Measured, published: pd.DataFrame) -> pd.DataFrame:
    """Return the published figures beside ours, and ours at the further l2 radii of the run."""
    known = published[["attack", "norm", "eps"]].drop_duplicates()
    cells = results.cells.loc[
        results.cells["attack"].isin(known["attack"]), ["attack", "norm", "eps", "data"]
    ].drop_duplicates()
    asked = cells.merge(known, how="left", indicator=True)
    further = asked.loc[
        (asked["_merge"] == "left_only") & asked["data"].isin(published["dataset"]),
        ["attack", "norm", "eps"],
    ]
    models = published[["study", "table", "dataset", "model", "metric", "unit"]].drop_duplicates()
    more = models.merge(further, how="cross").assign(value=float("nan"), printed="", note="")
    return comparison(
        measured.outcomes, pd.concat([published, more[published.columns]], ignore_index=True)
    )


def _tables(beside: pd.DataFrame) -> Sequence[PublishedTable]:
    return [_table(str(number), rows) for number, rows in beside.groupby("table", sort=False)]


def _table(number: str, rows: pd.DataFrame) -> PublishedTable:
    """Return a row a model and a column an attack, as published, and a row each surface of its own."""
    keys = ["attack", "norm", "eps"]
    columns = list(rows[keys].drop_duplicates().itertuples(index=False, name=None))
    letters = formatting.lettered(rows["note"])
    lines = []
    for model, group in rows.groupby("model", sort=False):
        found = {tuple(row[key] for key in keys): row for row in group.to_dict("records")}
        lines.append(
            Row(
                model=_called(str(model)),
                attack="",
                entries=tuple(figure_entry(found[column], letters) for column in columns),
            )
        )
        lines += _by_surface(found, columns)
    marked = (row.model + "".join(entry.interval for entry in row.entries) for row in lines)
    return PublishedTable(
        number=number,
        caption="Accuracy of each defence, in percent",
        data=tuple(_column(*column) for column in columns),
        groups=(("", tuple(lines)),),
        notes=(*formatting.in_letters(letters), *mark_notes(marked)),
        interval="95 %",
        stacked=True,
    )


def _by_surface(
    found: Mapping[tuple[Any, ...], Mapping[Hashable, Any]], columns: Sequence[tuple[Any, ...]]
) -> list[Row]:
    """Return a row a surface of a model that has several: ours where attacks followed it alone."""
    lines = []
    for surface, title in _SURFACES.items():
        ours = [found[column].get(f"ours on {surface}") for column in columns]
        if all(formatting.missing(figure) for figure in ours):
            continue
        entries = [
            _surface_entry(figure, int(found[column]["n"]))
            for figure, column in zip(ours, columns, strict=True)
        ]
        lines.append(Row(model=f"  {title}", attack="", entries=tuple(entries)))
    return lines


def _surface_entry(ours: Any, n: int) -> Entry:
    if formatting.missing(ours):
        return Entry(published=formatting.NONE, ours=formatting.NONE, interval="")
    low, high = wilson(round(ours / 100 * n), n)
    return Entry(
        published=formatting.NONE,
        ours=f"{ours:.1f}",
        interval=f"[{100 * low:.1f}, {100 * high:.1f}]",
    )


def _column(attack: str, norm: str, eps: str) -> str:
    if attack == CLEAN:
        return "clean"
    return f"{attack.upper()} {formatting.threat(norm, eps)}"


STUDY = Study(
    called=_called,
    brief=True,
    figures=figures,
    beside=_beside,
    tables=_tables,
    how=_HOW,
)

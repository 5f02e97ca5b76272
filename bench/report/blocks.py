"""What the templates place: tables as plain values, the protocol, agreement in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.tables import Table, identical, numeric
from bench.spec import ATTACKING
from bench.store.chosen import asked_in_words
from bench.store.results import Results

#: Of more models than these, the protocol says how many there are.
_MANY = 12


def table_block(
    frame: pd.DataFrame, caption: str, notes: Collection[str] = (), group: str = "model"
) -> dict[str, Any] | None:
    """Return a table for the template, None for an empty one.

    Args:
        frame: all text.
        caption: printed above.
        notes: printed below.
        group: the column that is printed once above the rows that share it, where there is one.
    """
    if frame.empty:
        return None
    shown, same = _telling(frame, group)
    alone = group in shown and _alone(shown[group])
    columns = [column for column in shown.columns if alone or column != group]
    grouped = group in shown and not alone
    groups = list(shown.groupby(group, sort=False)) if grouped else [("", shown)]
    return {
        "caption": caption,
        "notes": [*same, *notes],
        "columns": [
            {"title": column, "align": "right" if numeric(column) else "left"} for column in columns
        ],
        "groups": [
            {"title": str(model), "rows": rows[columns].astype(str).to_numpy().tolist()}
            for model, rows in groups
        ],
    }


def _alone(named: pd.Series[str]) -> bool:
    """Return whether a group is a column like others: short, and most of its values come once."""
    return len(named) < 1.5 * named.nunique() and int(named.str.len().max()) <= _SHORT


#: Names of more characters stand above their rows, where they have the width of the page.
_SHORT = 40

#: What a row is about and what came of it: shown even where it is the same in all rows.
_ALWAYS = frozenset(
    {
        "threat",
        "attack",
        "toolkits",
        "claim",
        "verdict",
        "result",
        "status",
        "expected",
        "its comparisons",
    }
)


def _telling(frame: pd.DataFrame, group: str) -> tuple[pd.DataFrame, list[str]]:
    """Return a table without the columns that are empty or the same in all rows, and what these said."""
    absent = [name for name in frame if frame[name].isin(["", formatting.NONE]).all()]
    same = [
        name
        for turn, name in enumerate(frame)
        if turn
        and len(frame) > 1
        and name not in {*absent, *_ALWAYS, group}
        and not str(name).endswith("(%)")
        and (frame[name] == frame[name].iloc[0]).all()
        and not formatting.loud(str(frame[name].iloc[0]))
    ]
    said = "; ".join(f"{name} {frame[name].iloc[0]}" for name in same)
    return frame.drop(columns=[*absent, *same]), [f"In all rows: {said}."] if same else []


def parity_block(table: Table, where: str) -> dict[str, Any] | None:
    """Return the comparisons that found any difference, with their causes as lettered notes.

    Args:
        table: all comparisons.
        where: the file that has all of them.
    """
    alike = identical(table.frame)
    frame = table.frame[~alike]
    marks = formatting.lettered(frame["cause"])
    expected = [
        f"{expected} ({marks[cause]})" if cause else expected
        for expected, cause in zip(frame["expected"], frame["cause"], strict=True)
    ]
    return table_block(
        frame.assign(expected=expected).drop(columns="cause"),
        f"{table.caption} Those with the same verdict on every image are left out; all are in {where}.",
        [f"({mark}) {cause}." for cause, mark in marks.items()],
    )


def agreement(frame: pd.DataFrame) -> str:
    """Return in words how many comparisons came out as expected, and how many found no difference."""
    counts = frame["result"].value_counts()
    many = formatting.plural(len(frame), "comparison")
    said = [f"{counts.get('pass', 0)} of {many} of two toolkits came out as expected"]
    if counts.get("FAIL", 0):
        said.append(f"{counts['FAIL']} did not (FAIL)")
    incomparable = int((frame["expected"] == "differs").sum())
    unjudged = counts.get("not judged", 0) - incomparable
    if unjudged:
        said.append(f"{unjudged} could not be judged")
    if incomparable:
        said.append(f"{incomparable} compared two algorithms of one name, which is not judged")
    alike = int(identical(frame).sum())
    none = f" In {alike} of them all images had the same verdict." if alike else ""
    return f"{'; '.join(said)}.{none}"


def front_block(results: Results) -> dict[str, Any]:
    """Return what every report begins with."""
    return {
        "title": results.title,
        "suite": results.suite,
        "date": formatting.date(results.started),
        "cells": _cell_counts(results),
        "protocol": _protocol(results),
        "left_out": list(results.left_out),
    }


def _cell_counts(results: Results) -> dict[str, int]:
    """Return how many cells are `done`, `failed` and `missing`."""
    counts = results.cells["status"].value_counts()
    return {status: int(counts.get(status, 0)) for status in ("done", "failed", "missing")}


def _protocol(results: Results) -> list[tuple[str, str]]:
    """Return the protocol as pairs of a word and what it was."""
    protocol: Mapping[str, Any] = results.protocol
    cells = results.cells
    attacks = cells[cells["kind"].isin(ATTACKING)]
    counts = _cell_counts(results)
    state = [f"{counts['done']} of {len(cells)} done"]
    state += [f"{counts[status]} {status}" for status in ("failed", "missing") if counts[status]]
    images = protocol["images"]
    smoke = f" (smoke: n < {formatting.SMOKE})" if images < formatting.SMOKE else ""
    each = " of each" if len(protocol["data"]) > 1 else ""
    counted = f"{formatting.plural(images, 'image')}{each}{smoke}{_more_images(cells, images)}"
    said = [
        (
            "Data",
            f"{formatting.data(protocol)}, split {protocol['split']}, first {counted}",
        ),
        ("Models", _models(results)),
        ("Attacks", ", ".join(attacks["attack"].unique())),
        ("Threats", ", ".join(_threats(attacks))),
        ("Cells", ", ".join(state)),
        ("Seed, batch size", f"{protocol['seed']}, {protocol['batch_size']}"),
        ("Run", _run(results)),
        ("Versions", ", ".join(_versions(results.made))),
        ("Machine", _machines(results.made)),
    ]
    return [(name, value) for name, value in said if value]


def _run(results: Results) -> str:
    """Return what the run is called and how much of its suite it asked for."""
    return f"{results.run}: {asked_in_words(results.asked)}" if results.run else ""


def _versions(made: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the versions that made the cells: `torch 2.9.0 (120 cells), 2.8.1 (11 cells)`."""
    counts: dict[str, Counter[str]] = {}
    for one in made:
        for name, version in (one["versions"] or {}).items():
            counts.setdefault(name, Counter())[version] += one["cells"]
    return [f"{name} {_counted(of)}" for name, of in counts.items()]


def _machines(made: Sequence[Mapping[str, Any]]) -> str:
    """Return the machines that made the cells, with the threads that torch had there."""
    counts: Counter[str] = Counter()
    for one in made:
        threads = one["threads"]
        said = "threads not recorded" if threads is None else formatting.plural(threads, "thread")
        counts[f"{one['host']} {one['device']}, {said}"] += one["cells"]
    return _counted(counts, "; ")


def _counted(counts: Counter[str], between: str = ", ") -> str:
    """Return the names counted, with how many cells each has where there are several."""
    if len(counts) == 1:
        return next(iter(counts))
    said = (f"{name} ({formatting.plural(count, 'cell')})" for name, count in counts.most_common())
    return between.join(said)


def _more_images(cells: pd.DataFrame, images: int) -> str:
    """Return which attacks were made on more images than the suite says, and on how many."""
    more = cells[cells["images"].fillna(0) > images]
    said = [
        f"; {count} under {', '.join(mine['attack'].unique())}"
        for count, mine in more.groupby("images")
    ]
    return "".join(said)


def _models(results: Results) -> str:
    names = [model["model"] for model in results.models]
    if len(names) <= _MANY:
        return ", ".join(names)
    families = pd.Series([model["family"] for model in results.models]).value_counts(sort=False)
    if len(families) == 1:
        return f"{len(names)}, all {families.index[0]}"
    return f"{len(names)}: {', '.join(f'{count} {family}' for family, count in families.items())}"


def _threats(cells: pd.DataFrame) -> list[str]:
    said = (
        formatting.threat(norm, eps) for norm, eps in zip(cells["norm"], cells["eps"], strict=True)
    )
    return list(dict.fromkeys(said))

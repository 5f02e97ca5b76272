"""The study of local learning: its tables, and what its models are called.

LL is a layer of filters learnt by the local rule of Krotov and Hopfield, under a linear layer; BP the same
network trained by back-propagation.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.published import CLEAN
from bench.report import formatting
from bench.report.blocks import Entry, PublishedTable, Row
from bench.report.labels import data_name
from bench.report.measured import Measured
from bench.report.study import Study
from bench.spec import configuration
from bench.store.results import Results
from bench.studies.local_learning.figures import figures
from bench.studies.local_learning.repeated_runs import beside_published

_CAPTIONS = {
    "A.1": "Share of filters that are positive throughout and of unit norm (f-score)",
    "A.2": "Accuracy of local learning by hyperparameter, in the study's first grid; over the configurations "
    "that were run",
    "A.3": "Accuracy of local learning by hyperparameter, over the configurations that were run",
    "A.4": "Accuracy of back-propagation by hyperparameter, over the configurations that were run",
    "B.1": "Local learning under FGSM",
    "B.2": "Local learning under PGD",
    "B.3": "Back-propagation under FGSM",
    "B.4": "Back-propagation under PGD",
    "9.1": "Critical ε of the best model of local learning",
    "8.1.2": "The best model of local learning",
    "8.2": "The best model of back-propagation",
}
_METRICS = {
    "accuracy": "accuracy (%)", "critical_eps": "critical ε", "f_score": "f-score",
    "mean_accuracy": "mean accuracy (%)", "max_accuracy": "best accuracy (%)",
}  # fmt: skip
_PLACES = {"critical_eps": 5, "f_score": 2}
_HOW = (
    "In each cell the published figure, then ours: the mean of our trainings of the configuration with "
    "the standard deviation between them, or of a single training the standard error over its images "
    "(by bootstrap for a critical ε). Accuracies are of clean images. Shown are the figures of networks "
    "of this run; all of them, with errors and counts, are in"
)


def _beside(results: Results, measured: Measured, published: pd.DataFrame) -> pd.DataFrame:
    return beside_published(measured.outcomes, measured.radii, published)


def _tables(beside: pd.DataFrame) -> Sequence[PublishedTable]:
    shown = beside[beside["planned"] > 0]
    return [_table(str(number), rows) for number, rows in shown.groupby("table", sort=False)]


def _table(number: str, rows: pd.DataFrame) -> PublishedTable:
    """Return a row a configuration or hyperparameter, and a column a measure."""
    metrics = list(dict.fromkeys(rows["metric"]))
    letters = formatting.lettered(rows["note"])
    lines = []
    for model, group in rows.groupby("model", sort=False):
        by_metric = {row["metric"]: _entry(row, letters) for row in group.to_dict("records")}
        absent = Entry(published=formatting.NONE, ours=formatting.NONE, interval="")
        attack = str(group["attack"].iloc[0])
        lines.append(
            Row(
                model=_called_row(str(model)),
                attack=formatting.NONE if attack == CLEAN else attack,
                entries=tuple(by_metric.get(metric, absent) for metric in metrics),
            )
        )
    data = ", ".join(data_name(str(name)) for name in rows["data"].unique())
    return PublishedTable(
        number=number,
        caption=_CAPTIONS.get(number, "As published, and ours"),
        data=tuple(_METRICS[metric] for metric in metrics),
        groups=((data, tuple(lines)),),
        notes=formatting.in_letters(letters),
        interval="ours from",
    )


def _called(model: str) -> str:
    """Return `LL with w = 4` for `ll-grid w=4`, and a configuration as it is called everywhere."""
    rule, grid, _ = model.partition("-grid ")
    return f"{rule.upper()} with {_called_row(model)}" if grid else model


def _called_row(model: str) -> str:
    """Return `w = 4` for `ll-grid w=4`, and a configuration as it is called everywhere."""
    _, grid, setting = model.partition("-grid ")
    return setting.replace("=", " = ") if grid else model


def _entry(row: Mapping[Hashable, Any], letters: Mapping[str, str]) -> Entry:
    places = _PLACES.get(str(row["metric"]), 1)
    note = f" ({letters[str(row['note'])]})" if row["note"] else ""
    published = f"{row['published']:.{places}f}"
    if not formatting.missing(row["published_spread"]):
        published += f" ± {row['published_spread']:.{places}f}"
    published += note
    if formatting.missing(row["ours"]):
        return Entry(published=published, ours=formatting.NONE, interval="")
    several = not formatting.missing(row["spread"])
    error = row["spread"] if several else row["error"]
    spread_text = "" if formatting.missing(error) else f" ± {error:.{places}f}"
    count = int(row["trainings"])
    interval = formatting.plural(count, "model" if several or count > 1 else "training")
    return Entry(
        published=published, ours=f"{row['ours']:.{places}f}{spread_text}", interval=interval
    )


def _shown(model: str) -> bool:
    return configuration(model) == model


STUDY = Study(
    captions=_CAPTIONS, called=_called, shown=_shown, stands_for=configuration, brief=True,
    figures=figures, beside=_beside, tables=_tables, how=_HOW,
)  # fmt: skip

"""What is particular to the report of one study; every study has its file here, or needs none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

import pandas as pd

from bench.measure.published import comparison
from bench.report.tables import Measured
from bench.store.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure of a study.

    Attributes:
        name: part of a file name, such as `bars-mnist`.
        pdf: the file, text selectable.
        wide: whether it takes the full width of the text, or half.
    """

    name: str
    caption: str
    pdf: bytes
    wide: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One cell of a published table.

    Attributes:
        published: the figure as printed, with the letter of its note.
        ours: our figure, empty text never: `–` where there is none.
        interval: of ours, such as `[78.8, 88.9]`, marked where some attacks have no result.
    """

    published: str
    ours: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model under one attack, an entry a column."""

    model: str
    attack: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A table in the published shape: data sets or measures across; models and attacks down.

    Attributes:
        number: as published.
        data: what heads the columns; each has the published figure, ours and its interval below.
        groups: title and rows of each radius.
        notes: one line each.
        interval: what heads the third column of each.
        stacked: whether the three stand one below the other, where there are many columns.
    """

    number: str
    caption: str
    data: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    notes: tuple[str, ...]
    interval: str = "95 % interval"
    stacked: bool = False


def _comparison(results: Results, measured: Measured, published: pd.DataFrame) -> pd.DataFrame:
    return comparison(measured.outcomes, published)


def _no_figures(
    results: Results, measured: Measured, comparison: pd.DataFrame
) -> Sequence[Picture]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """How a study's report says what it says.

    Attributes:
        captions: of the published tables, by number.
        names: data sets and what else is printed otherwise than it is written.
        called: what a model is called in a row of a table, from its name without the data set.
        shown: whether a model, by its name without the data set, is in the short headline.
        figures: the study's own, from the results, their figures, and those beside the published.
        beside: the published figures beside ours, from the results, their figures and the file.
        tables: those in the published shape, from what `beside` returns; None for a row a model and
            attack and a column a data set.
        how: what stands above them.
    """

    captions: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    called: Callable[[str], str] = str
    shown: Callable[[str], bool] = bool
    figures: Callable[[Results, Measured, pd.DataFrame], Sequence[Picture]] = _no_figures
    beside: Callable[[Results, Measured, pd.DataFrame], pd.DataFrame] = _comparison
    tables: Callable[[pd.DataFrame], Sequence[PublishedTable]] | None = None
    how: str = (
        "In each cell the published accuracy in percent, then ours with its 95 % Wilson interval. Ours "
        "is the share of all images that withstood this attack on every surface and by every toolkit "
        "of the run, per image; that on each surface alone is in"
    )

    def name(self, written: str) -> str:
        """Return how a data set is printed."""
        return self.names.get(written, written)


#: Where what is particular to a study is written, by the name in its published figures.
_STUDIES = {
    "defences": "bench.studies.defences.report",
    "dml": "bench.studies.dml.report",
    "local-learning": "bench.studies.local_learning.report",
}


def study_named(name: str) -> Study:
    """Return what is particular to a study; of one that has nothing, the defaults."""
    if name not in _STUDIES:
        return Study()
    study: Study = import_module(_STUDIES[name]).STUDY
    return study

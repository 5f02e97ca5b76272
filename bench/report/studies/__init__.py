"""What is particular to the report of one study; every study has its file here, or needs none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

import pandas as pd

from bench.report.tables import Measured
from bench.store.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure of a study, over the whole width of the text.

    Attributes:
        name: part of a file name, such as `bars-mnist`.
        pdf: the file, text selectable.
    """

    name: str
    caption: str
    pdf: bytes


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
    """

    captions: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    called: Callable[[str], str] = str
    shown: Callable[[str], bool] = bool
    figures: Callable[[Results, Measured, pd.DataFrame], Sequence[Picture]] = _no_figures

    def name(self, written: str) -> str:
        """Return how a data set is printed."""
        return self.names.get(written, written)


#: Where what is particular to a study is written, by the name in its published figures.
_STUDIES = {"dml": "bench.report.studies.dml"}


def study_named(name: str) -> Study:
    """Return what is particular to a study; of one that has nothing, the defaults."""
    if name not in _STUDIES:
        return Study()
    study: Study = import_module(_STUDIES[name]).STUDY
    return study

"""What is particular to the report of one study, as data: `STUDY` in `report.py` in the study's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bench.measure.published import comparison, read_published
from bench.measure.source import read_source
from bench.report.blocks import Figure, PublishedTable, Table
from bench.report.measured import Measured
from bench.store.results import Results
from bench.suite_files import document_file, study_module

if TYPE_CHECKING:
    from bench.report.findings import Findings


def _comparison(results: Results, measured: Measured, published: pd.DataFrame) -> pd.DataFrame:
    return comparison(measured.outcomes, published)


def _no_figures(findings: Findings) -> Sequence[Figure]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """How the report of a study differs from that of a plain suite.

    Attributes:
        captions: of the published tables, by number.
        called: what a model is called in a row of a table, from its name without the data set.
        shown: whether a model, by its name without the data set, is in the headline of the PDF.
        stands_for: the published model that a model of the run repeats, both with the data set.
        brief: whether a study of hundreds of cells is summed up: tables with a row a threat, attack or
            surface take the place of those with a row a cell, and there are no examples.
        figures: the study's own.
        beside: the published figures beside ours, from the results, their figures and the file.
        tables: those in the published shape, from what `beside` returns, with the causes of differences;
            None for a row a model and attack and a column a data set.
        how: what stands above them.
    """

    captions: Mapping[str, str] = field(default_factory=dict)
    called: Callable[[str], str] = str
    shown: Callable[[str], bool] = bool
    stands_for: Callable[[str], str] = str
    brief: bool = False
    figures: Callable[[Findings], Sequence[Figure]] = _no_figures
    beside: Callable[[Results, Measured, pd.DataFrame], pd.DataFrame] = _comparison
    tables: Callable[[pd.DataFrame], Sequence[PublishedTable | Table]] | None = None
    how: str = (
        "In each cell the published accuracy in percent, then ours with its 95 % Wilson interval. Ours "
        "is the share of all images that withstood this attack on every surface and by every toolkit "
        "of the run, per image; that on each surface alone is in"
    )


def study_of(published: Path) -> Study:
    """Return what is particular to a study; the defaults where its folder has no `report.py`.

    Args:
        published: the file of its published figures.

    Raises:
        BenchError: its `report.py` or `section.py` is broken.
    """
    study_module(published.parent, "section")  # the report of its own study must not leave it out
    module = study_module(published.parent, "report")
    study: Study = Study() if module is None else module.STUDY
    return study


def check_study(published: Path) -> None:
    """Read all files of a study that its report needs, so that a broken one is found before its run.

    Args:
        published: the file of its published figures.

    Raises:
        BenchError: a file is broken.
    """
    read_published(published)
    read_source(document_file(published))
    study_of(published)

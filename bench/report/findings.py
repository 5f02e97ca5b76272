"""What the sections of a report are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from bench.measure.differences import explained
from bench.measure.published import read_published
from bench.measure.quality import Contest, contests
from bench.measure.source import Source, read_source
from bench.report.labels import attack_names
from bench.report.measured import Measured
from bench.report.study import Study, study_of
from bench.store.results import Results
from bench.suite_files import document_file
from bench.trust.in_print import Printed, printed_claims, printed_comparisons


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A run, its figures and, of a study, the published figures beside them.

    Attributes:
        results: the rows of the run.
        measured: its figures.
        study: how its report differs from that of a plain suite.
        beside: the published figures beside ours, of `bench.measure.differences.explained`; None of a
            plain suite.
        source: the document that has been published; None where no file names one.
    """

    results: Results
    measured: Measured
    study: Study = field(default_factory=Study)
    beside: pd.DataFrame | None = None
    source: Source | None = None

    @cached_property
    def attack_names(self) -> dict[str, str]:
        """The attack of each cell in words."""
        return attack_names(self.results)

    @cached_property
    def data_of(self) -> dict[str, str]:
        """The data set of each model."""
        return {str(model["model"]): str(model["data"]) for model in self.results.models}

    @cached_property
    def contests(self) -> list[Contest]:
        """Which attacks can be compared with one another; none of a brief study, of hundreds of cells."""
        return [] if self.study.brief else contests(self.measured.of_suite, self.attack_names)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """The comparisons behind the claims; of a study with what is printed of each (`bench.trust.in_print`)."""
        found = self.measured.comparisons
        if self.beside is None:
            return found
        printed = Printed(self.beside, self.study.stands_for, self.data_of)
        return printed_comparisons(found, self.results.claims, printed)

    @cached_property
    def claims(self) -> pd.DataFrame:
        """The verdicts on the claims; of a study with those of its printed figures."""
        judged = self.measured.claims
        return judged if self.beside is None else printed_claims(judged, self.comparisons)

    def own_name(self, model: str) -> str:
        """Return the name of a model without its data set."""
        return model.removeprefix(f"{self.data_of.get(model, '')}/")

    def called(self, model: str) -> str:
        """Return what a model is called: in a study as its report says, else by its whole name."""
        return model if self.beside is None else self.study.called(self.own_name(model))


def find(results: Results, measured: Measured, published: Path | None = None) -> Findings:
    """Return what a report of a run is made from.

    Args:
        results: the cells of the run.
        measured: its figures.
        published: the file of a study's published figures; None for a suite that is no study.

    Raises:
        SpecError: that file or the one of its document is broken.
    """
    if published is None:
        return Findings(results=results, measured=measured)
    figures, study = read_published(published), study_of(published)
    source = read_source(document_file(published))
    beside = study.beside(results, measured, figures)
    return Findings(
        results=results,
        measured=measured,
        study=study,
        beside=explained(beside, source.causes if source else ()),
        source=source,
    )

"""The figures of the study, in the order of the document's chapters."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.blocks import Figure
from bench.report.findings import Findings
from bench.studies.fooling.accuracy import accuracy_figure
from bench.studies.fooling.sweeps import box_figure, lambda_figure, universal_figure

_FIGURES = (accuracy_figure, lambda_figure, box_figure, universal_figure)


def figures(findings: Findings) -> Sequence[Figure]:
    """Return the figures that a run has the cells for."""
    return [drawn for figure in _FIGURES if (drawn := figure(findings)) is not None]

"""The sections of a run in order, of a suite and of a study alike."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Document, Origin
from bench.report.findings import Findings
from bench.report.made import made_frames, made_sections
from bench.report.sections.protocol import cell_counts
from bench.store.results import Results


def document(findings: Findings) -> Document:
    """Return the report of a run; sections that it has nothing for are left out.

    Raises:
        BenchError: a section fails; the message says which and where.
    """
    return Document(
        origin=origin(findings.results),
        cells=cell_counts(findings.results),
        sections=tuple(made_sections(findings)),
    )


def frames(findings: Findings) -> dict[str, pd.DataFrame]:
    """Return the raw numbers of a run by the names of their files, in the order of the sections.

    Raises:
        BenchError: a section fails; the message says which and where.
    """
    return made_frames(findings)


def origin(results: Results) -> Origin:
    """Return the run that a report is of, as its files name it."""
    protocol: Mapping[str, object] = results.protocol
    return Origin(
        suite=results.suite,
        title=results.title,
        started=results.started,
        version=results.protocol["versions"].get("crossfire"),
        images=results.protocol["images"],
        data=formatting.data(protocol),
        split=results.protocol["split"],
        seed=results.protocol["seed"],
        data_of={str(model["model"]): str(model["data"]) for model in results.models},
    )

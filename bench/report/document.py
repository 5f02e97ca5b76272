"""The sections of a run in order, of a suite and of a study alike."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Document, Origin
from bench.report.findings import Findings
from bench.report.rules import section_rules
from bench.report.sections.protocol import cell_counts
from bench.store.results import Results


def document(findings: Findings) -> Document:
    """Return the report of a run; sections that it has nothing for are left out."""
    made = (rule.make(findings) for rule in section_rules())
    return Document(
        origin=origin(findings.results),
        cells=cell_counts(findings.results),
        sections=tuple(section for section in made if section is not None and section.blocks),
    )


def frames(findings: Findings) -> dict[str, pd.DataFrame]:
    """Return the raw numbers of a run by the names of their files, in the order of the sections."""
    found: dict[str, pd.DataFrame] = {}
    for rule in section_rules():
        found |= rule.frames(findings)
    return found


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

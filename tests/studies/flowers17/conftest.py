"""A run of the study of flowers with the published figures beside its own, measured once."""

import pytest
from scenes import flowers17 as scene

from bench.measure.differences import explained
from bench.measure.published import read_published
from bench.measure.source import read_source
from bench.report.findings import Findings
from bench.report.measured import measure
from bench.studies.flowers17 import architectures
from bench.studies.flowers17.report import STUDY


@pytest.fixture(scope="session")
def study():
    results = scene.results()
    measured = measure(results)
    source = read_source(scene.PUBLISHED.with_name("document.json"))
    with pytest.MonkeyPatch.context() as patch:
        # timm, which builds the other trunks, takes seconds to import.
        patch.setattr(architectures, "_OF_TIMM", {})
        architectures.trunk_counts.cache_clear()
        beside = STUDY.beside(results, measured, read_published(scene.PUBLISHED))
        architectures.trunk_counts.cache_clear()
    return Findings(
        results=results, measured=measured, study=STUDY, beside=explained(beside, source.causes),
        source=source,
    )  # fmt: skip

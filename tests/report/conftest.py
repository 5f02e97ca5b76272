from __future__ import annotations

import pytest
from scenes import stored_run

from bench.report.findings import Findings, find
from bench.report.measured import Measured, measure
from bench.store.results import Results, load_results


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two models, 28 cells, one of them failed, 40 images of 8 x 8."""
    root = tmp_path_factory.mktemp("results")
    return load_results(root, stored_run.write_run(root))


@pytest.fixture(scope="session")
def measured(results: Results) -> Measured:
    return measure(results)


@pytest.fixture(scope="session")
def findings(results: Results, measured: Measured) -> Findings:
    return find(results, measured)

from __future__ import annotations

import fake_results
import pytest

from bench.report.tables import Measured, measure
from bench.store.results import Results, load_results


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two models, 28 cells, one of them failed, 40 images of 8 x 8."""
    root = tmp_path_factory.mktemp("results")
    return load_results(root, fake_results.write_run(root))


@pytest.fixture(scope="session")
def measured(results: Results) -> Measured:
    return measure(results)

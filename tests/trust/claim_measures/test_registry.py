"""The table of what claims may compare."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

from bench.spec import Expected
from bench.trust.claim_measures.registry import claim_measures_by_name


def test_every_measure_is_a_file_of_its_own_with_columns_of_its_own():
    measures = claim_measures_by_name()
    assert set(measures) == {
        "accuracy", "critical_eps", "order", "perturbation", "training", "importance",
    }  # fmt: skip
    modules = {measure.compare.__module__ for measure in measures.values()}
    assert len(modules) == len(measures)
    columns = [name for measure in measures.values() for name in measure.columns]
    assert len(set(columns)) == len(columns)


def test_claims_can_expect_what_measures_take():
    taken = {expect for measure in claim_measures_by_name().values() for expect in measure.expects}
    assert taken == set(get_args(Expected))


def test_suite_files_are_checked_without_pandas_and_scipy():
    code = (
        "import sys; from bench.trust.claim_measures.registry import claim_measures_by_name; "
        "claim_measures_by_name(); assert not {'pandas', 'scipy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Cells without a result."""

from __future__ import annotations

from scenes import stored_run

from bench.report.findings import Findings
from bench.report.sections.failures import failure_table


def test_a_cell_that_failed_is_listed_with_its_error(findings: Findings) -> None:
    failures = failure_table(findings).frame
    assert failures[["model", "attack", "toolkit", "status"]].to_numpy().tolist() == [
        [*stored_run.FAILED, "failed"]
    ]
    assert "try --batch-size 8" in failures["error"].iloc[0]

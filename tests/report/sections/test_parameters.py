"""The parameters of attacks, written out."""

from __future__ import annotations

import dataclasses

from bench.report.findings import Findings
from bench.report.sections.failures import failure_table
from bench.report.sections.parameters import parameter_table


def test_parameters_are_written_out_once_an_attack(findings: Findings) -> None:
    table = parameter_table(findings).frame
    pgd = table[table["attack"] == "pgd"].iloc[0]
    assert len(table) == 4
    assert pgd["eps"] == "8/255, 24/255"
    assert "random_start no" in pgd["parameters"]
    assert "step_size 2/255" in pgd["parameters"]


def test_report_without_cells_has_no_parameters(findings: Findings) -> None:
    results = findings.results
    bare = Findings(
        results=dataclasses.replace(results, cells=results.cells.head(0)),
        measured=findings.measured,
    )
    assert parameter_table(bare).frame.empty
    assert failure_table(bare).frame.empty

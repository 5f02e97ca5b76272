"""The parameters of attacks, written out."""

from __future__ import annotations

import dataclasses

import build

from bench.report.findings import Findings
from bench.report.measured import measure
from bench.report.sections.failures import failure_table
from bench.report.sections.parameters import parameter_table


def test_parameters_are_written_out_once_an_attack(findings: Findings) -> None:
    table = parameter_table(findings).frame
    pgd = table[table["attack"] == "pgd"].iloc[0]
    assert len(table) == 4
    assert pgd["eps"] == "8/255, 24/255"
    assert "random_start no" in pgd["parameters"]
    assert "step_size 2/255" in pgd["parameters"]


def test_an_attack_in_several_ways_has_one_row_with_what_varies() -> None:
    cells = [
        build.cell("m", "fgsm", eps, (), parameters={"targeted": "none", **loss})
        for loss in ({}, {"loss": "logit", "source": 3})
        for eps in ("0.1", "0.2")
    ]
    results = build.results(cells)
    results.cells["batch_size"] = [100, 100, 100, 1]
    table = parameter_table(Findings(results=results, measured=measure(results)))
    (row,) = table.frame.to_dict("records")
    assert row["eps"] == "0.1, 0.2"
    assert row["parameters"] == "targeted none"
    # What came later is left out of a cell where it has its default.
    assert row["those that vary"] == "batch_size: 100, 1; loss: ce, logit; source: none, 3"


def test_report_without_cells_has_no_parameters(findings: Findings) -> None:
    results = findings.results
    bare = Findings(
        results=dataclasses.replace(results, cells=results.cells.head(0)),
        measured=findings.measured,
    )
    assert parameter_table(bare).frame.empty
    assert failure_table(bare).frame.empty

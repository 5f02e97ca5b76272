"""Cells without a result, and why."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, tabulate
from bench.report.findings import Findings
from bench.report.labels import ATTACK, MODEL, THREAT, TOOLKIT, data_name
from bench.report.rules import SectionRule

_CAPTION = "Cells that failed or were never run."
_STATUS, _ERROR = Column("status", "verdict"), Column("error", share=1)


def section(findings: Findings) -> Section | None:
    """Return the cells that failed or were never run, in brief by kind; none where all are done."""
    table = brief_failures(findings) if findings.study.brief else failure_table(findings)
    if table.frame.empty:
        return None
    return Section(label="failures", title="Cells without a result", blocks=(table,))


def failure_table(findings: Findings) -> Table:
    """Return a row a cell, with the error's first line."""
    cells = findings.results.cells
    columns: dict[Column, Say] = {
        MODEL: "model",
        ATTACK: lambda row: findings.attack_names[row.cell],
        THREAT: lambda row: formatting.threat(row.norm, row.eps),
        TOOLKIT: "toolkit",
        _STATUS: "status",
        _ERROR: _first_line,
    }
    return tabulate(cells[cells["status"] != "done"], columns, _CAPTION)


def _first_line(row: Any) -> str:
    return formatting.text(row.error).partition("\n")[0]


def brief_failures(findings: Findings) -> Table:
    """Return a row a kind of cell: how many there are, and why they failed."""
    cells = findings.results.cells
    cells = cells[cells["status"] != "done"]
    kinds = pd.DataFrame(
        {
            "data": [data_name(findings.data_of[model]) for model in cells["model"]],
            "attack": cells["cell"].map(findings.attack_names),
            "toolkit": cells["toolkit"],
            "surface": cells["surface"],
            "status": cells["status"],
            "error": [_first_line(row) for row in cells.itertuples()],
        }
    )
    counted = kinds.groupby(list(kinds.columns), sort=False).size().rename("cells").reset_index()
    columns: dict[Column, Say] = {
        Column("data"): "data",
        ATTACK: "attack",
        TOOLKIT: "toolkit",
        Column("surface"): "surface",
        _STATUS: "status",
        Column("cells", "number"): "cells",
        _ERROR: "error",
    }
    return tabulate(counted, columns, _CAPTION, group="")


SECTION = SectionRule(name="failures", place=110, make=section)

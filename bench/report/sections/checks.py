"""What the checks of a run found, other than that of parity."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Section, Table, tabulate
from bench.report.findings import Findings
from bench.report.rules import SectionRule


def section(findings: Findings) -> Section | None:
    """Return the findings of checks, of a run with checks beside that of parity."""
    table = checks_table(findings.measured.checks)
    if table.frame.empty:
        return None
    return Section(label="checks", title="Checks", blocks=(table,))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the findings, where there are some."""
    checks = findings.measured.checks
    return {} if checks.empty else {"checks": checks}


def checks_table(checks: pd.DataFrame) -> Table:
    """Return a row a finding of a check.

    Args:
        checks: of `bench.trust.run_findings.run_findings`.
    """
    return tabulate(
        checks,
        {
            Column("check", "subject"): "title",
            Column("of"): "subject",
            Column("result", "verdict"): "status",
            Column("value", "number"): lambda row: formatting.amount(row.value),
            Column("bound"): "bound",
            Column("what was found", share=2): "sentence",
            Column("what to do", share=1): "remedy",
        },
        "Checks of whether the figures of this run can be believed.",
        name="checks",
        group="check",
    )


SECTION = SectionRule(name="checks", place=125, make=section, frames=frames)

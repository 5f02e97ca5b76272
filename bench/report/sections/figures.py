"""The figures that a study draws of its own."""

from __future__ import annotations

from bench.report.blocks import Block, Section, Text
from bench.report.findings import Findings
from bench.report.rules import SectionRule


def section(findings: Findings) -> Section | None:
    """Return the figures of a study that has some."""
    drawn: tuple[Block, ...] = tuple(findings.study.figures(findings))
    if not drawn:
        return None
    if (findings.results.cells["status"] != "done").any():
        note = (
            "Some cells have no result; what is drawn is the worst case over those that have one."
        )
        drawn = (Text(text=note), *drawn)
    return Section(label="figures", title="Figures", blocks=drawn)


SECTION = SectionRule(name="figures", place=90, make=section)

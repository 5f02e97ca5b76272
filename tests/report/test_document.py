"""Sections in order, each found by its file."""

from __future__ import annotations

from bench.report.blocks import Document, Table
from bench.report.document import document, frames
from bench.report.findings import Findings
from bench.report.measured import Measured
from bench.report.rules import section_rules
from bench.store.results import Results


def tables_of(made: Document) -> dict[str, Table]:
    """Return the tables that have a file of their own, by name."""
    blocks = (block for section in made.sections for block in section.blocks)
    return {block.name: block for block in blocks if isinstance(block, Table) and block.name}


def test_tables_are_text_with_a_row_a_figure(
    results: Results, measured: Measured, findings: Findings
) -> None:
    made = tables_of(document(findings))
    assert list(made) == ["checks", "parity", "attacks", "optimality", "cost"]
    assert len(made["attacks"].frame) == len(results.cells)
    assert len(made["cost"].frame) == (results.cells["status"] == "done").sum()
    assert len(frames(findings)["parity"]) == len(measured.parity)
    for table in made.values():
        assert table.frame.map(lambda value: isinstance(value, str)).all(axis=None)
        assert [column.title for column in table.columns] == list(table.frame.columns)
        assert "surface" not in table.frame  # all are attacked as they are


def test_sections_have_places_and_names_of_their_own(findings: Findings) -> None:
    rules = section_rules()
    assert len({rule.place for rule in rules}) == len({rule.name for rule in rules}) == len(rules)
    assert [rule.place for rule in rules] == sorted(rule.place for rule in rules)
    labels = [section.label for section in document(findings).sections]
    assert labels == [
        "protocol", "headline", "checks", "accuracy", "failures", "examples", "parity", "attacks", "quality",
        "cost", "parameters",
    ]  # fmt: skip

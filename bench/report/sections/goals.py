"""Attacks that want more, or less, than any other label: how often they reached it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, tabulate
from bench.report.findings import Findings
from bench.report.labels import ATTACK, COUNT, MODEL, THREAT, TOOLKIT, surface_column, threat_of
from bench.report.rules import SectionRule
from bench.spec import GOALS


def section(findings: Findings) -> Section | None:
    """Return the table of goals, of a run with attacks that have some."""
    table = goal_table(findings.measured.attacks, findings.attack_names)
    if table.frame.empty:
        return None
    return Section(label="goals", title="Goals", blocks=(table,))


#: Goals that are written with other signs than their names have.
_GOALS = {"source-target": "source/target"}


def goal_table(found: pd.DataFrame, called: Mapping[str, str]) -> Table:
    """Return a row a cell whose attack has a target, or aims at less confidence.

    Args:
        found: of `bench.measure.attack_rates.attack_rates`.
        called: what each cell's attack is called.
    """
    found = found[found["goal"] != GOALS[0]]
    columns: dict[Column, Say] = {
        MODEL: "model",
        Column("goal", "subject"): lambda row: _GOALS.get(row.goal, row.goal.replace("-", " ")),
        ATTACK: lambda row: called[row.cell],
        THREAT: threat_of,
        TOOLKIT: "toolkit",
        **surface_column(found),
        COUNT: lambda row: formatting.count(row.attacked),
        Column("reached (%)", "rate"): lambda row: formatting.rate(row.success_rate, row.low, row.high),
        Column("label lost (%)", "rate"): lambda row: formatting.percent(row.lost_rate),
    }  # fmt: skip
    return tabulate(
        found,
        columns,
        "Attacks with a goal of their own: how often it was reached on the n images attacked, with its "
        "95 % Wilson interval, and on how many of them the right label was lost. A lost label counts in "
        "the headline whatever the goal was.",
        name="goals",
    )


SECTION = SectionRule(name="goals", place=50, make=section)

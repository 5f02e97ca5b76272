"""Each attack alone: how often it took the right label away on the images it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.measure.validity import ONE_DRAW
from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.labels import (
    ATTACK,
    COUNT,
    MODEL,
    NOTE,
    THREAT,
    TOOLKIT,
    surface_column,
    threat_of,
)
from bench.report.rules import SectionRule
from bench.spec import GOALS, ONE_DRAW_SURFACE


def section(findings: Findings) -> Section | None:
    """Return the table of attacks; none in brief, where its file has them."""
    if findings.study.brief:
        return None
    table = attack_table(findings.measured.attacks, findings.attack_names)
    block = Text(text="No cell has finished.") if table.frame.empty else table
    return Section(label="attacks", title="Attacks one by one", blocks=(block,))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw rates of attacks."""
    return {"attacks": findings.measured.attacks}


def attack_table(found: pd.DataFrame, called: Mapping[str, str]) -> Table:
    """Return a row a cell; attacks with a goal of their own have their own table.

    Args:
        found: of `bench.measure.attack_rates.attack_rates`.
        called: what each cell's attack is called.
    """
    found = found[found["goal"] == GOALS[0]]
    columns: dict[Column, Say] = {
        MODEL: "model",
        ATTACK: lambda row: called[row.cell],
        THREAT: threat_of,
        TOOLKIT: "toolkit",
        **surface_column(found),
        COUNT: lambda row: formatting.count(row.attacked),
        Column("success (%)", "rate"): lambda row: formatting.rate(row.success_rate, row.low, row.high),
        Column("accuracy (%)", "rate"): lambda row: formatting.percent(row.accuracy),
        Column("median distance", "number"): lambda row: formatting.distance(row.norm, row.median_distance),
        NOTE: _note,
    }  # fmt: skip
    return tabulate(
        found,
        columns,
        "Each attack alone: success over the n images attacked, "
        "with 95 % Wilson interval; accuracy over all images; median distance of the successes "
        "of minimal-norm attacks, in the norm of the threat.",
        name="attacks",
    )


def _note(row: Any) -> str:
    if formatting.missing(row.n):
        return "INVALID: did not run"  # the error itself is in the table of failures
    return formatting.join(
        formatting.text(row.flag),
        formatting.text(row.reasons),
        f"{row.borderline} borderline" if row.borderline else "",
        f"{row.abstained} abstained" if row.abstained else "",
        ONE_DRAW if formatting.text(row.surface) == ONE_DRAW_SURFACE else "",
        f"figure {row.trust}" if getattr(row, "trust", "") in ("doubtful", "invalid") else "",
    )


SECTION = SectionRule(name="attacks", place=150, make=section, frames=frames)

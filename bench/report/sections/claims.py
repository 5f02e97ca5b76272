"""What became of each claim of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.labels import THREAT
from bench.report.rules import SectionRule

_CAPTION = (
    "Each claim, tested on the same images: under its own attack (that of the study), and under the strongest, "
    "worst case per image over all attacks of the run that both sides faced. A claim holds where an exact McNemar test, "
    "adjusted by Holm's method over all comparisons, tells the two sides apart at level 0.05 in its "
    "favour under both; equality holds where the 95 % interval of the paired difference lies within "
    "the points named. It holds only against weaker attacks where the strongest turns it round or takes at "
    "least half of the lead. Unequal attacks: a side that was attacked less hard cannot be found ahead. "
    "Critical eps and figures of perturbations are compared under the study's attack alone, by their errors, "
    "and orders of models by Kendall's tau."
)
_WITHOUT_ATTACKS = (
    " Trainings that differ in their seeds are compared by the exact permutation test of their means, adjusted "
    "within the claim; how much the members of a model count is compared as it is."
)
_IN_PRINT = " In print: what the figures printed in the study say of the claim, as they stand, without a test."
#: What the printed figures say of a claim.
IN_PRINT = Column("in print")
#: The figures of radii in a narrow column.
_SHORT = {"logistic": "R", "median": "median", "mode": "mode"}


def section(findings: Findings) -> Section | None:
    """Return the claims of a suite that has some."""
    if not findings.results.claims:
        return None
    where = Text(text="The comparisons that each claim is made of are in {see}.", see="comparisons")
    table = claim_table(findings.claims)
    blocks = (table,) if findings.comparisons.empty else (where, table)
    return Section(label="claims", title="Claims", blocks=blocks)


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw verdicts, of a suite that has claims."""
    return {"claims": findings.claims} if findings.results.claims else {}


def claim_table(found: pd.DataFrame) -> Table:
    """Return a row a claim: what it says, the attack it is tested under, and its verdict.

    Args:
        found: of `bench.trust.claims.claims`, or of `bench.trust.in_print.printed_claims`.
    """
    printed = "in_print" in found
    columns: dict[Column, Say] = {
        Column("no."): lambda row: str(row.claim),
        Column("claim", "subject", share=5): "says",
        Column("study's attack", share=3): "attacks",
        replace(THREAT, share=2): threat,
        Column("verdict", "verdict", share=2): "verdict",
        **({IN_PRINT: "in_print"} if printed else {}),
        Column("its comparisons", "subject", share=4): "summary",
    }
    without = (found["norm"] == "").any()
    caption = _CAPTION + (_WITHOUT_ATTACKS if without else "") + (_IN_PRINT if printed else "")
    return tabulate(found, columns, caption, name="claims")


def threat(row: Any) -> str:
    """Return the threat of a claim or comparison; `clean` where nothing is attacked."""
    radii = row.eps_text if hasattr(row, "eps_text") else row.eps
    if formatting.missing(radii) and not formatting.missing(getattr(row, "left_attack", None)):
        # An order may be by the attacks of two threats, which stand beside it.
        return "" if row.measure == "order" else formatting.threat(row.norm, None)
    if formatting.missing(radii) or not radii:  # critical eps are measured
        figure = getattr(row, "figure", None)
        return str(row.norm) if formatting.missing(figure) else f"{row.norm} {_SHORT[str(figure)]}"
    return "clean" if radii == "0" else formatting.threat(row.norm, radii)


SECTION = SectionRule(name="claims", place=80, make=section, frames=frames)

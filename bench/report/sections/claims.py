"""What became of each claim of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Block, Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.labels import THREAT
from bench.report.rules import SectionRule
from bench.store.results import Results
from bench.trust.claim_measures.registry import claim_measures_by_name
from bench.trust.verdicts import UNDECIDED, UNJUDGED

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


_AT_ANY_TIME = (
    "Each claim, under its own attack (that of the study), and under the strongest, worst case per image over all "
    "attacks of this very radius that both sides faced. Images were added to the cells of undecided comparisons, so "
    "accuracies are tested by e-values, which hold whenever one stops: a claim holds where they tell the two sides "
    "apart in its favour under both attacks, at level 0.05 for all comparisons together, by Holm's method; equality "
    "where they tell the difference from all that lie outside of the points named. It holds only against weaker "
    "attacks where the strongest turns it round, or is shown to take at least half of the lead. Unequal attacks: a side "
    "that was attacked less hard cannot be found ahead. For other measures no images were added: they are judged on "
    "those that the suite asks for, by their errors."
)


def section(findings: Findings) -> Section | None:
    """Return the claims of a suite that has some."""
    if not findings.results.claims:
        return None
    where = Text(text="The comparisons that each claim is made of are in {see}.", see="comparisons")
    table = claim_table(findings.claims, findings.results.added is not None)
    left = what_is_left(findings.results, findings.comparisons)
    blocks: list[Block] = [] if findings.comparisons.empty else [where]
    blocks += [Text(text=left)] if left else []
    blocks.append(table)
    return Section(label="claims", title="Claims", blocks=tuple(blocks))


def what_is_left(results: Results, compared: pd.DataFrame) -> str:
    """Return how many comparisons are undecided after images were added, and why; empty of other runs.

    Args:
        results: of the run.
        compared: its comparisons.
    """
    added = results.added
    if added is None or compared.empty:
        return ""
    undecided = compared[compared["verdict"] == UNDECIDED]
    said = f"{len(undecided)} of {formatting.plural(len(compared), 'comparison')} undecided"
    unjudged = int((compared["verdict"] == UNJUDGED).sum())
    if unjudged:
        said += f", {unjudged} not judged, which more images do not help"
    measures = claim_measures_by_name()
    others = sorted({
        measures[name].noun for name in undecided["measure"] if not measures[name].at_any_time
    })  # fmt: skip
    if added.ended == "budget":
        said += f": budget of {formatting.time_of(added.budget)} spent; next would be {added.left}"
    elif undecided.empty:
        pass
    elif not added.ended:
        said += ": adding images was interrupted; the same command goes on"
    elif len(others) < undecided["measure"].nunique():
        said += ": all images that may be added were used"
    return said + (f"; no images are added for {' and '.join(others)}" if others else "")


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw verdicts, of a suite that has claims."""
    return {"claims": findings.claims} if findings.results.claims else {}


def claim_table(found: pd.DataFrame, at_any_time: bool = False) -> Table:
    """Return a row a claim: what it says, the attack it is tested under, and its verdict.

    Args:
        found: of `bench.trust.claims.claims`, or of `bench.trust.in_print.printed_claims`.
        at_any_time: whether images were added to what was undecided, so that other tests were used.
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
    caption = _AT_ANY_TIME if at_any_time else _CAPTION
    caption += (_WITHOUT_ATTACKS if without else "") + (_IN_PRINT if printed else "")
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

"""Do the toolkits agree about the same attack?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Block, Column, Say, Section, Table, Text, notes_below, tabulate
from bench.report.findings import Findings
from bench.report.labels import ATTACK, COUNT, MODEL, THREAT, surface_column, threat_of
from bench.report.rules import SectionRule

#: Of more comparisons that did not come out as expected, the rest is in the CSV file.
_SHOWN = 40

_CAUSE = Column("cause", share=1)


def section(findings: Findings) -> Section:
    """Return the agreement of toolkits in words and the comparisons that differ, in brief by attack."""
    table = parity_table(findings.measured.parity, findings.attack_names)
    where = f"{findings.results.suite}-parity.csv"
    blocks: tuple[Block, ...]
    if table.frame.empty:
        blocks = (Text(text="No attack of this run was made by two toolkits."),)
    elif findings.study.brief:
        counts = agreement_counts(findings.measured.parity)
        blocks = (Text(text=agreement(table.frame)), counts, _failing(table, where))
    else:
        blocks = (Text(text=agreement(table.frame)), differing(table, where))
    kept = tuple(block for block in blocks if not (isinstance(block, Table) and block.frame.empty))
    return Section(label="parity", title="Agreement of the toolkits", blocks=kept)


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw comparisons of toolkits."""
    return {"parity": findings.measured.parity}


def parity_table(found: pd.DataFrame, called: Mapping[str, str]) -> Table:
    """Return a row a pair of toolkits: whether they agree as closely as they should.

    Args:
        found: of `bench.trust.checks.parity.parity`.
        called: what each cell's attack is called.
    """
    columns: dict[Column, Say] = {
        MODEL: "model",
        **surface_column(found),
        ATTACK: lambda row: called[row.left_cell],
        THREAT: threat_of,
        Column("toolkits", "pair"): lambda row: f"{row.left} – {row.right}",
        COUNT: lambda row: formatting.count(row.n),
        Column("expected", "subject"): lambda row: formatting.text(row.expected) or formatting.NONE,
        Column("bound"): lambda row: formatting.text(row.bound) or formatting.NONE,
        Column("equal (%)", "rate"): lambda row: formatting.percent(row.equal_verdicts),
        Column("differ", "number"): lambda row: formatting.count(row.discordant),
        Column("McNemar p", "number"): lambda row: formatting.probability(row.mcnemar_p),
        Column("max. difference", "number"): lambda row: formatting.amount(row.max_difference, 3),
        Column("norm ratio", "number"): lambda row: formatting.amount(row.norm_ratio),
        Column("result", "subject"): _result,
        _CAUSE: lambda row: formatting.text(row.cause),
    }
    return tabulate(
        found,
        columns,
        "Agreement of the toolkits, attack by attack: the class that is expected, and the "
        "bound that it sets here (on verdicts that differ, ± on how many images more fall to the "
        "first toolkit, on the ratio of the median norms); share of images with equal "
        "verdicts, number of images where they differ, exact McNemar p, largest difference of two "
        "adversarial images (pixel units), ratio of the median norms.",
        name="parity",
    )


def _result(row: Any) -> str:
    if formatting.missing(row.passed):
        return "not judged"
    return "pass" if row.passed else "FAIL"


def identical(table: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows of a parity table came out as expected, with equal verdicts on all images."""
    return (table["result"] == "pass") & (table["differ"] == "0")


def differing(table: Table, where: str) -> Table:
    """Return the comparisons that found any difference, with their causes as lettered notes.

    Args:
        table: all comparisons.
        where: the file that has all of them.
    """
    different = replace(
        table,
        caption=f"{table.caption} Those with the same verdict on every image are left out; all are in "
        f"{where}.",
        frame=table.frame[~identical(table.frame)],
    )
    return notes_below(different, _CAUSE, "expected")


def _failing(table: Table, where: str) -> Table:
    """Return the comparisons that did not come out as expected, of many the first."""
    failing = table.frame[table.frame["result"] == "FAIL"]
    rest = f" The first {_SHOWN}; all are in {where}." if len(failing) > _SHOWN else ""
    columns = tuple(
        column for column in table.columns if column.title not in ("result", _CAUSE.title)
    )
    return Table(
        caption=f"Comparisons that did not come out as expected.{rest}",
        columns=columns,
        frame=failing.head(_SHOWN)[[column.title for column in columns]],
    )


def agreement(table: pd.DataFrame) -> str:
    """Return in words how many comparisons came out as expected, and how many found no difference."""
    counts = table["result"].value_counts()
    compared = formatting.plural(len(table), "comparison")
    parts = [f"{counts.get('pass', 0)} of {compared} of two toolkits came out as expected"]
    if counts.get("FAIL", 0):
        parts.append(f"{counts['FAIL']} did not (FAIL)")
    incomparable = int((table["expected"] == "differs").sum())
    unjudged = counts.get("not judged", 0) - incomparable
    if unjudged:
        parts.append(f"{unjudged} could not be judged")
    if incomparable:
        parts.append(f"{incomparable} compared two algorithms of one name, which is not judged")
    alike = int(identical(table).sum())
    same = f" In {alike} of them all images had the same verdict." if alike else ""
    return f"{'; '.join(parts)}.{same}"


def agreement_counts(found: pd.DataFrame) -> Table:
    """Return a row an attack and pair of toolkits: how many comparisons came out as expected.

    Args:
        found: of `bench.trust.checks.parity.parity`.
    """
    found = found.fillna({"expected": formatting.NONE})
    alike = ["attack", "norm", "eps_text", "left", "right", "expected"]
    passed = found["passed"]
    counted = (
        found.assign(
            comparisons=1,
            as_expected=passed.fillna(False).astype(int),
            failed=(~passed.fillna(True).astype(bool)).astype(int),
            unjudged=passed.isna().astype(int),
        )
        .groupby(alike, sort=False)
        .agg({
            "comparisons": "sum", "as_expected": "sum", "failed": "sum", "unjudged": "sum",
            "discordant": "sum", "equal_verdicts": "min",
        })
        .reset_index()
    )  # fmt: skip
    columns: dict[Column, Say] = {
        ATTACK: "attack",
        THREAT: threat_of,
        Column("toolkits", "pair"): lambda row: f"{row.left} – {row.right}",
        Column("expected", "subject"): "expected",
        Column("comparisons", "number"): lambda row: formatting.count(row.comparisons),
        Column("as expected", "number"): lambda row: formatting.count(row.as_expected),
        Column("FAIL", "number"): lambda row: formatting.count(row.failed),
        Column("not judged", "number"): lambda row: formatting.count(row.unjudged),
        Column("images that differ", "number"): lambda row: formatting.count(row.discordant),
        Column("least equal (%)", "rate"): lambda row: formatting.percent(row.equal_verdicts),
    }
    return tabulate(
        counted,
        columns,
        "Agreement of the toolkits: comparisons of two of them, one a model and surface, how "
        "many came out as expected, on how many images the verdicts differ in all, and the lowest "
        "share of equal verdicts of any comparison.",
        name="agreement",
    )


SECTION = SectionRule(name="parity", place=130, make=section, frames=frames)

"""How well the networks that stand in for models under attack know these."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.measure.statistics import wilson
from bench.report import formatting
from bench.report.blocks import Column, Section, Table
from bench.report.findings import Findings
from bench.report.labels import MODEL, data_name
from bench.report.rules import SectionRule
from bench.spec import SubstituteName

_COLUMNS = (
    Column("data"), MODEL, Column("surface", "subject"), Column("answers"), Column("queries", "number"),
    Column("seed images", "number"), Column("rounds", "number"), Column("agreement (%)", "rate"),
    Column("of held-out images", "number"),
)  # fmt: skip


def section(findings: Findings) -> Section | None:
    """Return the substitutes of a run, of one that attacks through some."""
    table = substitute_table(findings)
    if table.frame.empty:
        return None
    return Section(label="substitutes", title="Substitutes", blocks=(table,))


def substitute_table(findings: Findings) -> Table:
    """Return a row a substitute; those of cells that are not done are not known."""
    results = findings.results
    named = (SubstituteName.read(surface) for surface in results.cells["surface"])
    through = results.cells[np.fromiter((name is not None for name in named), dtype=bool)]
    rows = {}
    for cell in through[through["status"] == "done"].to_dict("records"):
        known, name = results.substitute(cell["cell"]), SubstituteName.read(cell["surface"])
        if known is None or name is None:
            continue
        decided, share = known["decided"], known["agreement"]
        low, high = wilson(round((share or 0) * decided), decided)
        rows[cell["model"], cell["surface"]] = (
            data_name(cell["data"]),
            findings.called(cell["model"]),
            cell["surface"],
            name.answers,
            formatting.count(known["queries"]),
            formatting.count(known["seeds"]),
            formatting.count(known["rounds"]),
            formatting.rate(share, low, high),
            f"{decided} of {known['held_out']}",
        )  # fmt: skip
    return Table(
        name="substitutes",
        caption="Substitutes: small networks trained on a model's answers alone, through which the model was "
        "attacked as a black box (Papernot et al., 2017). Queries are the images that it was asked about: "
        "seed images, from another split than the one attacked, and those made from these in rounds of "
        "Jacobian-based augmentation. Agreement is the share of held-out images on which both name the same "
        "class, of those for which the model names one.",
        columns=_COLUMNS,
        frame=pd.DataFrame(list(rows.values()), columns=[column.title for column in _COLUMNS]),
        group="data",
    )


SECTION = SectionRule(name="substitutes", place=168, make=section)

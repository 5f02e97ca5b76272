"""How often the differentiable vote that attacks follow says what the real vote says."""

from __future__ import annotations

import pandas as pd

from bench.measure.statistics import wilson
from bench.report import formatting
from bench.report.blocks import Column, Section, Table
from bench.report.findings import Findings
from bench.report.labels import data_name
from bench.report.rules import SectionRule
from bench.spec import transfer_source

_COLUMNS = (
    Column("data"), Column("vote", "subject"), Column("k", "number"), Column("distance"),
    Column("temperature", "number"), Column("leave one out (%)", "rate"),
    Column("clean test images (%)", "rate"), Column("untied", "number"),
)  # fmt: skip


def section(findings: Findings) -> Section | None:
    """Return the agreement of surrogates, of a run that attacks votes through some."""
    table = surrogate_table(findings)
    if table.frame.empty:
        return None
    return Section(label="surrogates", title="Surrogates of a vote", blocks=(table,))


def surrogate_table(findings: Findings) -> Table:
    """Return a row a vote on whose surfaces attacks were crafted."""
    results = findings.results
    elsewhere = results.cells.dropna(subset=["crafted_on"])
    # A vote whose images are tried on it by transfer alone, beside attacks of its own, is no mere judge.
    elsewhere = elsewhere[elsewhere["surface"].map(transfer_source).isna()]
    judges_only = set(elsewhere["model"]) - set(elsewhere["crafted_on"])
    rows = []
    for model in results.models:
        known = model.get("surrogate")
        if known is None or model["model"] in judges_only:
            continue
        share, untied = known["soft_knn_agreement"], known["untied"]
        low, high = wilson(round((share or 0) * untied), untied)
        rows.append((
            data_name(model["data"]),
            findings.called(model["model"]),
            formatting.count(known["k"]),
            known["distance"],
            formatting.amount(known["temperature"]),
            formatting.percent(known["left_out_agreement"]),
            formatting.rate(share, low, high),
            f"{untied} of {known['images']}",
        ))  # fmt: skip
    return Table(
        name="surrogates",
        caption="How often the differentiable vote (soft-knn) gives the label of the real vote, where that "
        "is not tied: on the reference images, each judged by the others (leave one out), where the largest "
        "temperature with 99 % agreement is chosen; and on the clean test images.",
        columns=_COLUMNS,
        frame=pd.DataFrame(rows, columns=[column.title for column in _COLUMNS]),
        group="data",
    )


SECTION = SectionRule(name="surrogates", place=160, make=section)

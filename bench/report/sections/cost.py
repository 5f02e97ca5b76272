"""What the attacks cost: passes through the model, and time."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.labels import ATTACK, MODEL, THREAT, TOOLKIT, data_name, surface_column, threat_of
from bench.report.rules import SectionRule
from bench.spec import HANDED_IN_SURFACE, SubstituteName, transfer_source

_FORWARDS, _BACKWARDS = Column("forwards", "number"), Column("backwards", "number")
_MILLISECONDS = Column("ms", "number")


def section(findings: Findings) -> Section:
    """Return the cost; in brief a row a data set and surface, else a row a cell."""
    if findings.study.brief:
        table = brief_cost(findings)
    else:
        fitted = len(findings.measured.transfer) > 0
        table = cost_table(findings.measured.attacks, findings.attack_names, fitted)
    block = Text(text=_without_cost(findings)) if table.frame.empty else table
    return Section(label="cost", title="Cost", blocks=(block,))


def _without_cost(findings: Findings) -> str:
    """Return why no attack has a cost."""
    if (findings.measured.attacks["surface"] == HANDED_IN_SURFACE).any():
        return "What the images that were handed in cost is not known."
    return "No cell has finished."


def cost_table(found: pd.DataFrame, called: Mapping[str, str], fitted: bool = False) -> Table:
    """Return a row a cell that ran: passes through the model and time, per attacked image.

    None of images that were handed in, whose cost is not known.

    Args:
        found: of `bench.measure.attack_rates.attack_rates`.
        called: what each cell's attack is called.
        fitted: whether some perturbation was fitted first.
    """
    found = found[(found["status"] == "done") & (found["surface"] != HANDED_IN_SURFACE)]
    elsewhere = " Fitting a universal perturbation is counted in its own table." if fitted else ""
    if found["surface"].map(_is_another_model).any():
        elsewhere = (
            " Of images made on a substitute or on another model, the passes are those through that model."
            + elsewhere
        )
    columns: dict[Column, Say] = {
        MODEL: "model",
        ATTACK: lambda row: called[row.cell],
        THREAT: threat_of,
        TOOLKIT: "toolkit",
        **surface_column(found),
        _FORWARDS: lambda row: formatting.count(row.forwards),
        _BACKWARDS: lambda row: formatting.count(row.backwards),
        _MILLISECONDS: lambda row: formatting.milliseconds(row.seconds),
    }
    return tabulate(
        found,
        columns,
        "Cost per attacked image: passes through the model, counted the same way for "
        f"every toolkit, and milliseconds.{elsewhere}",
        name="cost",
    )


def _is_another_model(surface: str) -> bool:
    """Return whether a surface is a substitute, or another model whose images are tried."""
    return transfer_source(surface) is not None or SubstituteName.read(surface) is not None


def brief_cost(findings: Findings) -> Table:
    """Return a row a data set and surface: images attacked, passes and time for each, minutes in all."""
    cells = findings.results.cells
    # What was crafted once for several votes is counted once.
    crafted = cells.loc[cells["crafted_on"].isna() & (cells["status"] == "done"), "cell"]
    found = findings.measured.attacks
    found = found[found["cell"].isin(crafted)]
    data = found["model"].map(findings.data_of).rename("data")
    rows = []
    for (name, surface), group in found.groupby([data, "surface"], sort=False):
        weights = group["attacked"].astype("float64")
        total = float(weights.sum())
        means = {
            mean: float((group[mean].fillna(0) * weights).sum()) / total if total else None
            for mean in ("forwards", "backwards", "seconds")
        }
        rows.append((data_name(str(name)), surface, len(group), total, *means.values()))
    names = ["data", "surface", "cells", "images", "forwards", "backwards", "seconds"]
    columns: dict[Column, Say] = {
        Column("data"): "data",
        Column("surface", "subject"): "surface",
        Column("cells", "number"): lambda row: formatting.count(row.cells),
        Column("images", "number"): lambda row: formatting.count(row.images),
        _FORWARDS: lambda row: formatting.count(row.forwards),
        _BACKWARDS: lambda row: formatting.count(row.backwards),
        _MILLISECONDS: lambda row: formatting.milliseconds(row.seconds),
        Column("minutes", "number"): lambda row: f"{(row.seconds or 0) * row.images / 60:.1f}",
    }
    return tabulate(
        pd.DataFrame(rows, columns=names),
        columns,
        "Cost: images attacked, passes through the model and milliseconds for each of them, "
        "and minutes in all.",
        name="cost",
        group="data",
    )


SECTION = SectionRule(name="cost", place=170, make=section)

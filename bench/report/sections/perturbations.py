"""How large perturbations are, and how much the clip to [0, 1] changes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, tabulate
from bench.report.findings import Findings
from bench.report.labels import (
    ATTACK,
    COUNT,
    MODEL,
    THREAT,
    TOOLKIT,
    surface_column,
    threat_of,
)
from bench.report.rules import SectionRule


def section(findings: Findings) -> Section | None:
    """Return the table of perturbations of a run with attacks that clip only at the end.

    For other runs the table of attacks is enough; the CSV file has all figures.
    """
    found = findings.measured.perturbations
    found = found[found["unclipped_fooling"].notna()]
    if found.empty or findings.study.brief:
        return None
    table = perturbation_table(found, findings.attack_names)
    return Section(label="perturbations", title="Perturbations", blocks=(table,))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw figures of all perturbations."""
    found = findings.measured.perturbations
    return {"perturbations": found} if len(found) else {}


def perturbation_table(found: pd.DataFrame, called: Mapping[str, str]) -> Table:
    """Return a row for each cell, with figures after the clip and, behind a slash, before it.

    Args:
        found: of `bench.measure.perturbations.perturbations`.
        called: what the attack of each cell is called.
    """
    columns: dict[Column, Say] = {
        MODEL: "model",
        ATTACK: lambda row: called[row.cell],
        THREAT: threat_of,
        TOOLKIT: "toolkit",
        **surface_column(found),
        COUNT: lambda row: formatting.count(row.attacked),
        Column("fooled (%)", "pair"): lambda row: _pair(
            formatting.percent(row.fooling), formatting.percent(row.unclipped_fooling)
        ),
        Column("confidence (%)", "number"): lambda row: formatting.percent(row.confidence_fooled),
        Column("size", "pair"): lambda row: _size(row, "delta"),
        Column("relative", "pair"): lambda row: _size(row, "rho"),
        Column("less means", "pair"): lambda row: _size(row, "rho_centred"),
        Column("pixels (%)", "number"): lambda row: formatting.percent(row.median_pixels),
        Column("values (%)", "number"): lambda row: formatting.percent(row.median_values),
    }
    return tabulate(
        found,
        columns,
        "Perturbations of the n images attacked, whether the model was fooled or not. Behind a slash: "
        "of the images before they were clipped to [0, 1] at the end, which count nowhere else. "
        "Confidence: mean over the images that fooled the model. Size: mean norm of the perturbation, in "
        "the norm of the threat (l2 in place of l0 and l1). Relative: mean of the norm divided by that "
        "of the clean image; less means: divided by that of the clean image less the channel means of the "
        "data set. Pixels and channel values: median share that differs.",
        name="perturbations",
    )


def _size(row: Any, figure: str) -> str:
    order = row.norm if row.norm in ("l2", "linf") else "l2"
    clipped, before = (
        formatting.amount(getattr(row, f"{prefix}{figure}_{order}"))
        for prefix in ("", "unclipped_")
    )
    return _pair(clipped, before)


def _pair(clipped: str, before: str) -> str:
    return clipped if before == formatting.NONE else f"{clipped} / {before}"


SECTION = SectionRule(name="perturbations", place=155, make=section, frames=frames)

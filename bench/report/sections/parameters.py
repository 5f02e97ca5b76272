"""The attacks as they ran, with their parameters."""

from __future__ import annotations

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.labels import ATTACK
from bench.report.rules import SectionRule


def section(findings: Findings) -> Section:
    """Return the parameters of all attacks."""
    table = parameter_table(findings)
    block = Text(text="No attack was planned.") if table.frame.empty else table
    return Section(label="parameters", title="Parameters", blocks=(block,))


def parameter_table(findings: Findings) -> Table:
    """Return a row an attack: the parameters it ran with, and the radii it was given."""
    radii: dict[tuple[str, str, str], list[str]] = {}
    for cell in findings.results.cells.to_dict("records"):
        given = formatting.parameters(cell["parameters"])
        key = (findings.attack_names[cell["cell"]], cell["norm"], given)
        radius = formatting.threat("", cell["eps"]).strip()
        if radius not in radii.setdefault(key, []):
            radii[key].append(radius)
    found = pd.DataFrame(
        [(attack, norm, ", ".join(eps), given) for (attack, norm, given), eps in radii.items()],
        columns=["attack", "norm", "eps", "parameters"],
    )
    columns: dict[Column, Say] = {
        ATTACK: "attack",
        Column("norm", "norm"): "norm",
        Column("eps"): "eps",
        Column("parameters", share=1): "parameters",
    }
    return tabulate(
        found, columns, "Attacks as they ran; a parameter that is not written has its default."
    )


SECTION = SectionRule(name="parameters", place=190, make=section)

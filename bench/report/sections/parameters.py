"""The attacks as they ran, with their parameters."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.attacks.catalogue import every_parameter
from bench.report import formatting
from bench.report.blocks import Column, Say, Section, Table, Text, tabulate
from bench.report.findings import Findings
from bench.report.labels import ATTACK, told_apart
from bench.report.rules import SectionRule


def section(findings: Findings) -> Section:
    """Return the parameters of all attacks."""
    table = parameter_table(findings)
    block = Text(text="No attack was planned.") if table.frame.empty else table
    return Section(label="parameters", title="Parameters", blocks=(block,))


def parameter_table(findings: Findings) -> Table:
    """Return a row for each attack and norm: its radii, its parameters, and the values of those that vary."""
    cells = findings.results.cells
    rows = [
        {"attack": attack, "norm": norm, "eps": _radii(of_attack), **_shared_and_varied(of_attack)}
        for (attack, norm), of_attack in cells.groupby(["attack", "norm"], sort=False)
    ]
    found = pd.DataFrame(rows, columns=["attack", "norm", "eps", "shared", "varied"])
    columns: dict[Column, Say] = {
        ATTACK: "attack",
        Column("norm", "norm"): "norm",
        Column("eps", share=2): "eps",
        Column("parameters", share=3): "shared",
    }
    if (found["varied"] != "").any():
        columns[Column("those that vary", share=3)] = "varied"
    return tabulate(
        found,
        columns,
        "Attacks as they ran; a parameter that is not written has its default. Of an attack that ran in "
        "several ways, the values of what varies, in the order of the suite.",
    )


def _radii(cells: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(formatting.threat("", eps).strip() for eps in cells["eps"]))


def _shared_and_varied(cells: pd.DataFrame) -> dict[str, str]:
    """Return the parameters that all cells of an attack have alike, and those that differ, as text."""
    given = told_apart(cells)
    names = dict.fromkeys(name for parameters in given for name in parameters)
    attack = str(cells["attack"].iloc[0])
    values = {
        name: list(dict.fromkeys(_value(attack, parameters, name) for parameters in given))
        for name in names
    }
    shared = {
        name: found[0] for name, found in values.items() if len(found) == 1 and name != "batch_size"
    }
    varied = [
        f"{name}: {', '.join(map(formatting.parameter_value, found))}"
        for name, found in sorted(values.items())
        if len(found) > 1
    ]
    return {"shared": formatting.parameters(shared), "varied": "; ".join(varied)}


def _value(attack: str, parameters: Mapping[str, object], name: str) -> object:
    """Return the value of a parameter, which is the default if it is left out of a cell."""
    return parameters[name] if name in parameters else every_parameter(attack, {}).get(name)


SECTION = SectionRule(name="parameters", place=190, make=section)

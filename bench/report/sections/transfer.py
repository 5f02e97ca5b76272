"""Universal perturbations, from model to model."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Section, Table
from bench.report.findings import Findings
from bench.report.labels import ATTACK, THREAT, TOOLKIT
from bench.report.rules import SectionRule


def section(findings: Findings) -> Section | None:
    """Return the table of universal perturbations, of a run that has some."""
    found = findings.measured.transfer
    if found.empty:
        return None
    named = {column: found[column].map(findings.called) for column in ("model", "fitted_on")}
    table = transfer_table(found.assign(**named), findings.attack_names, brief=findings.study.brief)
    return Section(label="transfer", title="Universal perturbations", blocks=(table,))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw shares of images that perturbations fool."""
    found = findings.measured.transfer
    return {"transfer": found} if len(found) else {}


def transfer_table(found: pd.DataFrame, called: Mapping[str, str], *, brief: bool = False) -> Table:
    """Return a row a universal perturbation: how it was fitted, and the share of images it fools.

    A model's column is the share of the images it gets right that fall to the perturbation; of
    several surfaces of a model fitted on, the first counts.

    Args:
        found: of `bench.measure.transfer.transfer`.
        called: what the attack of each cell is called.
        brief: whether the passes through the model are left to the file.
    """
    through = () if brief else ("forwards", "backwards")
    tested = [f"{model} (%)" for model in dict.fromkeys(found["model"])]
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for cell in found.to_dict("records"):
        parts = called[cell["cell"]].split(", ")
        attack = ", ".join(part for part in parts if not part.startswith("fitted on "))
        threat = formatting.threat(cell["norm"], cell["eps_text"])
        row = rows.setdefault((cell["fitted_on"], attack, threat, cell["toolkit"]), {})
        row.setdefault(f"{cell['model']} (%)", formatting.percent(cell["fooling"]))
        if not formatting.missing(cell["passes"]):
            row |= {
                "fitted (%)": formatting.percent(cell["fit_fooling"]),
                "passes": formatting.count(cell["passes"]),
                "forwards": formatting.count(cell["forwards"]),
                "backwards": formatting.count(cell["backwards"]),
                "s": formatting.amount(cell["seconds"]),
            }
    columns = (
        Column("fitted on", "subject"), ATTACK, THREAT, TOOLKIT,
        *(Column(title, "rate") for title in (*tested, "fitted (%)")),
        *(Column(title, "number") for title in ("passes", *through, "s")),
    )  # fmt: skip
    titles = [column.title for column in columns]
    return Table(
        name="transfer",
        caption="Universal perturbations from model to model: the share of the images that the "
        "model in the column gets right which the perturbation fitted on the model in the row "
        "takes to another class. Then the share of the images it was fitted on, and what the fit "
        f"took in all: passes over them{'' if brief else ', passes through the model'}, seconds.",
        columns=columns,
        frame=pd.DataFrame(
            [
                [*key, *(row.get(title, formatting.NONE) for title in titles[len(key) :])]
                for key, row in rows.items()
            ],
            columns=titles,
            dtype=object,
        ),
    )


SECTION = SectionRule(name="transfer", place=180, make=section, frames=frames)

"""Models that are made of others: how their members are combined, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from bench.data.table import class_names
from bench.measure.statistics import wilson
from bench.report import formatting
from bench.report.blocks import Column, Figure, Section, Table, tabulate
from bench.report.drawing import TEXT_WIDTH, canvas, look, style, to_pdf
from bench.report.findings import Findings
from bench.report.rules import SectionRule
from bench.store.results import Results

_COMBINED = (
    Column("model", "subject"), Column("how"), Column("meta-learner"), Column("fitted on", share=1),
    Column("surface"), Column("agreement (%)", "rate"), Column("images", "number"),
)  # fmt: skip

#: Panels of a figure side by side, and the height of each in inches.
_ACROSS, _PANEL = 3, 1.25


def section(findings: Findings) -> Section | None:
    """Return what is known of models made of others, of a run that has some."""
    combined = combined_table(findings)
    if combined.frame.empty:
        return None
    found = importances(findings.results)
    by_member = importance_tables(found, findings)
    return Section(
        label="members", title="Members", blocks=(combined, *by_member, *drawings(found, findings))
    )


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the importance of each class of each member, of a run that has any."""
    found = importances(findings.results)
    return {"importances": found} if len(found) else {}


def importances(results: Results) -> pd.DataFrame:
    """Return a row for each class of each member of each model that weighs its members.

    Returns:
        `model`, `data`, `member`, `class` (number), `importance` (those of a model sum to 1).
    """
    rows = [
        (model["model"], model["data"], member, number, value)
        for model in results.models
        for member, values in (model.get("importances") or {}).items()
        for number, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["model", "data", "member", "class", "importance"])


def combined_table(findings: Findings) -> Table:
    """Return a row a model made of others: how, and how far its surface can be trusted."""
    rows = []
    for model in findings.results.models:
        known = model.get("combined")
        if known is None:
            continue
        rows.append((
            findings.called(model["model"]),
            known["how"],
            known["meta"] or formatting.NONE,
            _fitted_on(known),
            known.get("surface") or formatting.NONE,
            *_agreement(known),
        ))  # fmt: skip
    return Table(
        name="members",
        caption="Models made of others: how the members are combined (bagging: mean of their "
        "probabilities; majority: most votes, where a tie is a wrong answer; stacking: a meta-learner of "
        "their probabilities). Surface: network is the model itself, mean only the mean probabilities of its "
        "differentiable members. Agreement: how often mean gives the model's label on clean test images, "
        "where that is not tied.",
        columns=_COMBINED,
        frame=pd.DataFrame(rows, columns=[column.title for column in _COMBINED]),
    )


def _fitted_on(known: Mapping[str, Any]) -> str:
    if "fitted_on" not in known:
        return formatting.NONE
    leak = "; a leak: the members were trained on them" if known["leak"] else ""
    return f"{known['fit_images']}: {known['fitted_on']}{leak}"


def _agreement(known: Mapping[str, Any]) -> tuple[str, str]:
    if "agreement" not in known:
        return formatting.NONE, formatting.NONE
    untied, share = known["untied"], known["agreement"]
    low, high = wilson(round((share or 0) * untied), untied)
    return formatting.rate(share, low, high), f"{untied} of {known['images']}"


def importance_tables(found: pd.DataFrame, findings: Findings) -> list[Table]:
    """Return a table of the members of each model that weighs them.

    Args:
        found: of `importances`.
        findings: of the run.
    """
    return [
        _importance_table(str(model), part, findings, turn)
        for turn, (model, part) in enumerate(found.groupby("model", sort=False), 1)
    ]


def _importance_table(model: str, part: pd.DataFrame, findings: Findings, turn: int) -> Table:
    names = _classes(part)
    rows = []
    for member, values in part.groupby("member", sort=False)["importance"]:
        most, least = int(values.argmax()), int(values.argmin())
        rows.append({
            "member": findings.called(str(member)), "share": float(values.sum()),
            "most": f"{names[most]} ({formatting.percent(values.iloc[most])})",
            "least": f"{names[least]} ({formatting.percent(values.iloc[least])})",
        })  # fmt: skip
    return tabulate(
        pd.DataFrame(rows),
        {
            Column("member", "subject"): "member",
            Column("importance (%)", "rate"): lambda row: formatting.percent(row.share),
            Column("most important class (%)"): "most",
            Column("least important class (%)"): "least",
        },
        f"How much each member counts for the meta-learner of {findings.called(model)}: the sum over "
        "its classes. Of a forest the importance is the mean decrease in impurity, of a linear "
        "meta-learner the mean absolute weight; those of all members and classes sum to 100.",
        name=f"importances-{turn}",
    )


def _classes(part: pd.DataFrame) -> list[str]:
    """Return the names of the classes of a model; their numbers where the data set has others."""
    count = int(part["class"].max()) + 1
    known = class_names(str(part["data"].iloc[0]), count)
    return [str(name) for name in known] or [str(number) for number in range(count)]


def drawings(found: pd.DataFrame, findings: Findings) -> list[Figure]:
    """Return a figure of each model that weighs its members: a panel a member, a bar a class.

    Args:
        found: of `importances`.
        findings: of the run.
    """
    figures = []
    for turn, (model, part) in enumerate(found.groupby("model", sort=False), 1):
        members = [str(member) for member in part["member"].unique()]
        across = min(_ACROSS, len(members))
        down = -(-len(members) // across)
        with style():
            figure = canvas(TEXT_WIDTH, 0.4 + _PANEL * down)
            axes = figure.subplots(down, across, sharey=True, squeeze=False)
            draw_importances(axes.flat, part, [findings.called(member) for member in members])
            pdf = to_pdf(figure)
        figures.append(
            Figure(
                name=f"importances-figure-{turn}",
                pdf=pdf,
                caption=f"How much each class of each member counts for the meta-learner of "
                f"{findings.called(str(model))}, in per cent.",
            )
        )
    return figures


def draw_importances(panels: Any, part: pd.DataFrame, names: list[str]) -> None:
    """Draw the importances of a model, a panel a member and a bar a class.

    Args:
        panels: axes, at least one a member; those that are left over are hidden.
        part: of `importances`, of one model.
        names: what the members are called, in their order.
    """
    axes: list[Axes] = list(panels)
    classes = _classes(part)
    texts = any(len(name) > 2 for name in classes)
    groups = part.groupby("member", sort=False)["importance"]
    for turn, (panel, (_, values)) in enumerate(zip(axes, groups, strict=False)):
        panel.bar(range(len(values)), 100 * values, color=look(0).colour, width=0.8)
        panel.set_title(names[turn], fontsize=8)
        panel.set_xticks(range(len(classes)), classes, rotation=90 if texts else 0, fontsize=6)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[len(names) :]:
        panel.set_visible(False)
    axes[0].set_ylabel("importance (%)")


SECTION = SectionRule(name="members", place=165, make=section, frames=frames)

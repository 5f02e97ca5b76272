"""Models whose training images were poisoned, and what that did to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.measure.statistics import wilson
from bench.report import formatting
from bench.report.blocks import Column, Section, Table
from bench.report.findings import Findings
from bench.report.labels import MODEL
from bench.report.rules import SectionRule

_COLUMNS = (
    MODEL, Column("poison"), Column("images poisoned (%)", "number"), Column("clean accuracy (%)", "rate"),
    Column("to the target (%)", "rate"), Column("of marked images", "number"),
)  # fmt: skip


def section(findings: Findings) -> Section | None:
    """Return what poison did to the models of a run, of one that has such models."""
    table = poison_table(findings)
    if table.frame.empty:
        return None
    return Section(label="poisoning", title="Poisoned training", blocks=(table,))


def poison_table(findings: Findings) -> Table:
    """Return a row a model that was trained on poisoned images, in the run's order."""
    rows = [
        (findings.called(model["model"]), *_told(findings, model["model"], model["poison"]))
        for model in findings.results.models
        if model.get("poison")
    ]
    return Table(
        name="poisoning",
        caption="Models trained on poisoned images: a share of the labels flipped to other classes, or a "
        "pattern and the target's label put on images of other classes (a back door). Clean accuracy is of "
        "the images of this run. To the target: the share of all test images of other classes that get the "
        "target's label once they have the pattern, measured after the training.",
        columns=_COLUMNS,
        frame=pd.DataFrame(rows, columns=[column.title for column in _COLUMNS]),
    )


def _told(findings: Findings, title: str, poison: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of a model's row but its name."""
    right = findings.measured.outcomes.clean.get(title)
    clean = formatting.NONE
    if right is not None:
        clean = formatting.rate(right.mean(), *wilson(int(right.sum()), len(right)))
    share = formatting.percent(poison["share"])
    if poison["target"] is None:
        return "flipped labels", share, clean, formatting.NONE, formatting.NONE
    marked, opened = poison["backdoor_images"], poison["backdoor_success"]
    low, high = wilson(round(opened * marked), marked)
    kind = f"back door to class {poison['target']}"
    return kind, share, clean, formatting.rate(opened, low, high), formatting.count(marked)


SECTION = SectionRule(name="poisoning", place=166, make=section)

"""The trainings of a run: what the epoch kept reaches, and what one chosen on test images would have reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.trainings import phases, trainings
from bench.report import formatting
from bench.report.blocks import Column, Figure, Section, Table
from bench.report.drawing import TEXT_WIDTH, canvas, style, to_pdf
from bench.report.findings import Findings
from bench.report.labels import data_name
from bench.report.learning_curves import draw_curves
from bench.report.rules import SectionRule

_COLUMNS = (
    Column("data"), Column("training", "subject"), Column("seeds", "number"), Column("epochs", "number"),
    Column("epoch kept", "number"), Column("accuracy (%)", "rate"),
    Column("chosen on test images (%)", "rate"), Column("difference", "number"),
)  # fmt: skip

#: Panels of the figure side by side, at most so many, and the height of each in inches.
_ACROSS, _MOST, _PANEL = 4, 16, 1.3


def section(findings: Findings) -> Section | None:
    """Return the trainings of a run that records some; a study has figures of its own in place of the one here."""
    if not findings.results.trainings:
        return None
    figures = curve_figures(findings) if findings.beside is None else []
    return Section(
        label="trainings", title="Trainings", blocks=(training_table(findings), *figures)
    )


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the figures of each training, and of each phase of those in several, of a run that has some."""
    found = {
        "trainings": trainings(findings.results),
        "training-phases": phases(findings.results),
    }
    return {name: frame for name, frame in found.items() if len(frame)}


def training_table(findings: Findings) -> Table:
    """Return a row a configuration: its trainings, which differ in their seeds alone, together."""
    found = trainings(findings.results)
    rows = []
    for name, repeats in found.groupby("configuration", sort=False):
        first = repeats.iloc[0]
        rows.append((
            data_name(first["data"]),
            called(findings, str(name), first["data"]),
            formatting.count(len(repeats)),
            _span(repeats["epochs"]),
            _span(repeats["kept"]),
            formatting.mean_and_spread(repeats["test_accuracy"]),
            formatting.mean_and_spread(repeats["leaky_accuracy"]),
            formatting.mean_and_spread(repeats["leaky_accuracy"] - repeats["test_accuracy"], "+"),
        ))  # fmt: skip
    return Table(
        name="trainings",
        caption="Accuracy of each training on all test images: at the epoch with the least loss on validation "
        "images, whose weights are kept, and at the epoch with the least loss on the test images themselves, "
        "which some studies report. The difference, in points, is what that choice adds. Trainings of one "
        "network with several seeds share a row: mean ± standard deviation.",
        columns=_COLUMNS,
        frame=pd.DataFrame(rows, columns=[column.title for column in _COLUMNS]),
        group="data",
    )


def called(findings: Findings, name: str, data: str) -> str:
    """Return what a training is called: in a study as its report says, else by its whole name.

    Args:
        findings: of the run.
        name: of the training or its configuration, which may not be attacked.
        data: its data set.
    """
    return name if findings.beside is None else findings.study.called(name.removeprefix(f"{data}/"))


def _span(values: pd.Series[Any]) -> str:
    """Return a count, or the least and the largest where they differ: `12 to 19`."""
    return " to ".join(
        dict.fromkeys(formatting.count(value) for value in (values.min(), values.max()))
    )


def curve_figures(findings: Findings) -> list[Figure]:
    """Return one figure with the loss of the first training of each configuration, a panel each."""
    firsts: dict[str, Mapping[str, Any]] = {}
    for training in findings.results.trainings:
        firsts.setdefault(training["configuration"], training)
    shown = list(firsts.items())[:_MOST]
    others = len(firsts) - len(shown)
    left = f" {formatting.plural(others, 'more network')} not shown." if others else ""
    return [
        Figure(
            name="learning-curves",
            pdf=_panels(shown),
            caption="Learning curves: mean cross-entropy by epoch on training images, as they were changed at "
            "random, and on validation images; of each network the training with the first seed."
            + left,
        )
    ]


def _panels(shown: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
    across = min(_ACROSS, len(shown))
    down = -(-len(shown) // across)
    with style():
        figure = canvas(TEXT_WIDTH, 0.4 + _PANEL * down)
        grid = figure.subplots(down, across, squeeze=False)
        for axes, (name, training) in zip(grid.flat, shown, strict=False):
            draw_curves(axes, training["curves"])
            axes.set_title(name.removeprefix(f"{training['data']}/"), fontsize=7)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for axes in grid[:, 1:].flat:
            axes.set_ylabel("")
        for axes in grid.flat[: len(shown) - across]:
            axes.set_xlabel("")  # those with another panel below
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
        return to_pdf(figure)


SECTION = SectionRule(name="trainings", place=163, make=section, frames=frames)

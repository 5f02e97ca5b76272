"""Learning curves: figures 2, 3 and 4 of the document, and those of its fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

from matplotlib.axes import Axes

from bench.report import formatting
from bench.report.blocks import Figure
from bench.report.drawing import TEXT_WIDTH, canvas, look, style, to_pdf
from bench.report.findings import Findings
from bench.report.learning_curves import draw_curves
from bench.studies.flowers17.names import (
    DATA,
    NETWORKS,
    called,
    setting_name,
    trunk_with_data,
    tuned,
)

_Training = Mapping[str, Any]
#: The networks of the figures 2, 3 and 4: those that the document trains plainly, and two under augmentation.
_PLAIN = NETWORKS[:4]
_AUGMENTED = {"3": "mk-2", "4": "mk-3"}
_AUGMENTATIONS = ("zoom", "flips", "all")
_KEPT = "circle: the epoch kept"
_PANEL, _ACROSS = 1.3, 4


def learning_curves(findings: Findings) -> list[Figure]:
    """Return the figures that a run has the trainings for: plain, augmented, fine-tuned."""
    by_name = _by_configuration(findings.results.trainings)
    figures = [_networks(by_name, "2", _PLAIN, "without augmentation")]
    for number, network in _AUGMENTED.items():
        names = [f"{network}-aug-{augmentation}" for augmentation in _AUGMENTATIONS]
        figures.append(_networks(by_name, number, names, "by augmentation"))
    trunks = [made.trunk for name in by_name if (made := tuned(name)) is not None]
    figures += [_tuned(by_name, trunk) for trunk in dict.fromkeys(trunks)]
    return [figure for figure in figures if figure is not None]


def _by_configuration(trainings: Sequence[_Training]) -> dict[str, list[_Training]]:
    """Return the trainings of each configuration, by its name without the data set."""
    found: dict[str, list[_Training]] = {}
    for training in trainings:
        if training["data"] == DATA:
            found.setdefault(training["configuration"].removeprefix(f"{DATA}/"), []).append(
                training
            )
    return found


def _networks(
    by_name: Mapping[str, Sequence[_Training]], number: str, names: Sequence[str], how: str
) -> Figure | None:
    """Return loss above and accuracy below, a column a network; the full network where it was trained."""
    shown = [
        next((one for one in (name, f"{name}-slim") if one in by_name), None) for name in names
    ]
    there = [name for name in shown if name is not None]
    if not there:
        return None
    with style():
        figure = canvas(TEXT_WIDTH, 0.3 + 2 * _PANEL)
        grid = figure.subplots(2, len(names), sharex="col", sharey="row", squeeze=False)
        for column, name in enumerate(there):
            first, *others = by_name[name]
            for row, of in enumerate(_OF):
                _pale(grid[row, column], others, of)
                draw_curves(grid[row, column], first["curves"], of)
            grid[0, column].set_title(called(name), fontsize=8, pad=3)
            grid[0, column].set_xlabel("")
        for axes in grid[:, len(there) :].flat:
            axes.set_visible(False)
        grid[0, 0].set_ylim(0, 1.05 * max(_highest_loss(by_name[name]) for name in there))
        _finish(figure, grid)
        pdf = to_pdf(figure)
    repeats = max(len(by_name[name]) for name in there) - 1
    pale = (
        f" Pale: validation images of up to {formatting.plural(repeats, 'further training')}."
        if repeats
        else ""
    )
    return Figure(
        name=f"curves-{number}", pdf=pdf,
        caption=f"Learning curves {how}: loss (mean cross-entropy, nats) and accuracy on training images, as they "
        f"were changed at random, and on the 170 validation images; {_KEPT}.{pale} Figure {number} of the document.",
    )  # fmt: skip


_OF: tuple[Literal["loss", "accuracy"], ...] = ("loss", "accuracy")


def _highest_loss(trainings: Sequence[_Training]) -> float:
    """Return the highest loss that is drawn of some trainings."""
    splits = [training["curves"]["splits"] for training in trainings]
    drawn = [splits[0]["train"]["loss"], *(one["validation"]["loss"] for one in splits)]
    return float(max(max(losses) for losses in drawn))


def _pale(axes: Axes, trainings: Sequence[_Training], of: Literal["loss", "accuracy"]) -> None:
    """Draw validation images of repeated trainings, to show how far they differ."""
    for training in trainings:
        values = training["curves"]["splits"]["validation"][of]
        scale = 100 if of == "accuracy" else 1
        axes.plot(
            range(1, len(values) + 1), [scale * value for value in values], color=look(1).colour,
            alpha=0.3, linewidth=0.5, zorder=1,
        )  # fmt: skip


def _finish(figure: Any, grid: Any) -> None:
    """Name the lines once, and leave the vertical axis to the first column."""
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)


def _tuned(by_name: Mapping[str, Sequence[_Training]], trunk: str) -> Figure:
    """Return accuracy by epoch of each head on a trunk, with a line where its second phase begins."""
    own = {
        made.setting: by_name[name][0]
        for name in by_name
        if (made := tuned(name)) is not None and made.trunk == trunk
    }
    across = min(_ACROSS, len(own))
    down = -(-len(own) // across)
    with style():
        figure = canvas(TEXT_WIDTH, 0.3 + _PANEL * down)
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for turn, (axes, (setting, training)) in enumerate(
            zip(grid.flat, own.items(), strict=False)
        ):
            draw_curves(axes, training["curves"], "accuracy")
            for end in list(accumulate(training["phases"]))[:-1]:
                axes.axvline(end + 0.5, color="0.5", linewidth=0.6, linestyle=(0, (1, 1.5)))
            axes.set_title(setting_name(setting), fontsize=7.5, pad=3)
            axes.set_xlabel("epoch" if turn + across >= len(own) else "")
        for axes in grid.flat[len(own) :]:
            axes.set_axis_off()
        _finish(figure, grid)
        pdf = to_pdf(figure)
    return Figure(
        name=f"curves-tuned-{trunk}", pdf=pdf,
        caption=f"Fine-tuning on {trunk_with_data(trunk)}: accuracy by epoch on training "
        f"and on the 170 validation images; {_KEPT}. Left of the dotted line the trunk is frozen (phase A), right "
        "of it part of it is trained too (phase B).",
    )  # fmt: skip

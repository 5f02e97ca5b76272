"""How learning curves are drawn: training against held-out images, with a mark where an epoch was kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from matplotlib.axes import Axes

from bench.report.drawing import look, percent_axis


def draw_curves(
    axes: Axes, curves: Mapping[str, Any], figure: Literal["loss", "accuracy"] = "loss"
) -> None:
    """Draw a figure of training and of validation images by epoch, and a mark at the epoch that was kept.

    Where a data set has no validation images, the split by which the epoch was chosen takes their place.

    Args:
        axes: what is drawn on; its lines are labelled for a legend.
        curves: of `bench.train.cards.learning_curves`.
        figure: mean cross-entropy in nats, or accuracy in percent.
    """
    splits = curves["splits"]
    held_out = "validation" if "validation" in splits else curves["chosen_by"]
    scale = 100.0 if figure == "accuracy" else 1.0
    for turn, (split, label) in enumerate((("train", "training"), (held_out, held_out))):
        values = splits[split][figure]
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, [scale * value for value in values], color=look(turn).colour,
                  linestyle=look(turn).dashes, label=label)  # fmt: skip
    kept = curves["chosen_epoch"]
    axes.plot(
        kept, scale * splits[held_out][figure][kept - 1], label="epoch kept", linestyle="none", marker="o",
        markersize=3.5, markerfacecolor="white", markeredgecolor="black", markeredgewidth=0.7,
    )  # fmt: skip
    axes.set_xlabel("epoch")
    if figure == "accuracy":
        percent_axis(axes, "accuracy (%)")
    else:
        axes.set_ylabel("loss")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)

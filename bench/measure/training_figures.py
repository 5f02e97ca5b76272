"""The figures of trainings that claims can compare. Suite files are checked against it: imports no pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TrainingFigure:
    """A column of `bench.measure.trainings.trainings`.

    Attributes:
        called: what it is called in text.
        unit: shares are shown in percent; losses are mean cross-entropies in nats.
        metric: of published figures that it stands beside.
    """

    name: str
    unit: Literal["share", "loss"]
    called: str
    metric: str


#: Studies print accuracies on the images by which they chose the epoch as plain accuracies.
TRAINING_FIGURES: Mapping[str, TrainingFigure] = {
    figure.name: figure
    for figure in (
        TrainingFigure("test_accuracy", "share", "test accuracy", "accuracy"),
        TrainingFigure(
            "leaky_accuracy", "share", "test accuracy at the epoch of least test loss", "accuracy"
        ),
        TrainingFigure("train_accuracy", "share", "training accuracy", "train_accuracy"),
        TrainingFigure("train_loss", "loss", "training loss", "train_loss"),
        TrainingFigure("validation_loss", "loss", "validation loss", "validation_loss"),
        TrainingFigure(
            "rise", "loss", "rise of the validation loss from its least to the last epoch", "rise"
        ),
        TrainingFigure(
            "phase_gain",
            "share",
            "test accuracy of the last phase less that of the first",
            "phase_gain",
        ),
    )
}

"""What the learning curves of a run's trainings say: the epoch kept, and what another choice would have reported.

A training keeps the epoch of least loss on the split that its recipe names, validation images as a rule. Some
studies choose the epoch on the very images that they report: the `leaky` figures here are what that gives for
the same training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bench.store.results import Results

#: The training accuracy from which on a network is said to know its training images.
FULL = 0.99

TRAININGS = (
    "configuration", "name", "data", "seed", "epochs", "kept", "train_loss", "train_accuracy", "validation_loss",
    "validation_accuracy", "test_loss", "test_accuracy", "leaky_epoch", "leaky_accuracy", "rise", "full",
    "phase_gain",
)  # fmt: skip
PHASES = (
    "name", "configuration", "phase", "epochs", "kept", "validation_accuracy", "test_accuracy", "leaky_accuracy",
)  # fmt: skip


class _Curves(NamedTuple):
    """Some epochs of a training, of which `first` is the number of the first.

    Attributes:
        splits: by split `loss` and `accuracy`, a value an epoch; not all splits need be there.
    """

    splits: Mapping[str, Mapping[str, Sequence[float]]]
    first: int = 1

    def of(self, split: str, figure: str) -> Sequence[float]:
        return self.splits[split][figure] if split in self.splits else ()

    def at(self, split: str, figure: str, epoch: float) -> float:
        """Return a figure at an epoch; NaN where the split was not watched or there is no epoch."""
        values = self.of(split, figure)
        return math.nan if math.isnan(epoch) or not values else values[int(epoch) - self.first]

    def least(self, split: str) -> float:
        """Return the epoch of least loss on a split, of equal ones the first; NaN where it was not watched."""
        losses = self.of(split, "loss")
        return self.first + losses.index(min(losses)) if losses else math.nan

    def part(self, start: int, stop: int) -> _Curves:
        """Return the epochs that follow the first `start`, up to number `stop`."""
        parts = {
            split: {figure: values[start:stop] for figure, values in figures.items()}
            for split, figures in self.splits.items()
        }
        return _Curves(parts, start + 1)


def trainings(results: Results) -> pd.DataFrame:
    """Return what the learning curves of each training say.

    Args:
        results: of a run; figures are NaN where a data set has no such split.

    Returns:
        `TRAININGS`, a row a training: `configuration` (the name without its seed), `name, data, seed`,
        `epochs` (how many), `kept` (the number of the one whose weights are kept, from 1) and, at that epoch,
        `train_loss, train_accuracy` (means over the epoch, of images as they were changed at random),
        `validation_loss, validation_accuracy, test_loss, test_accuracy`; `leaky_epoch` (that of least loss on
        test images) and `leaky_accuracy` (on test images, there); `rise` (validation loss of the last epoch less
        the least); `full` (the first epoch whose training accuracy is at least `FULL`); `phase_gain` (test
        accuracy of the last phase less that of the first, see `phases`; NaN of one phase). Accuracies are
        shares, losses mean cross-entropies in nats.
    """
    by_phase = phases(results).groupby("name", sort=False)["test_accuracy"]
    gains = dict(by_phase.last() - by_phase.first())
    rows = []
    for training in results.trainings:
        curves = _Curves(training["curves"]["splits"])
        kept = training["curves"]["chosen_epoch"]
        losses, known = curves.of("validation", "loss"), curves.of("train", "accuracy")
        leaky = curves.least("test")
        rows.append({
            **{name: training[name] for name in ("configuration", "name", "data", "seed")},
            "epochs": len(known),
            "kept": kept,
            **{
                f"{split}_{figure}": curves.at(split, figure, kept)
                for split in ("train", "validation", "test") for figure in ("loss", "accuracy")
            },
            "leaky_epoch": leaky,
            "leaky_accuracy": curves.at("test", "accuracy", leaky),
            "rise": losses[-1] - min(losses) if losses else math.nan,
            "full": next((turn for turn, share in enumerate(known, 1) if share >= FULL), math.nan),
            "phase_gain": gains.get(training["name"], math.nan),
        })  # fmt: skip
    return _typed(rows, TRAININGS, counts=("seed", "epochs", "kept"))


def phases(results: Results) -> pd.DataFrame:
    """Return what each phase of a training by itself would have kept, of trainings in several phases.

    Args:
        results: of a run.

    Returns:
        `PHASES`, a row a training and phase: `name, configuration, phase` (from 1), `epochs` (how many), `kept`
        (the epoch of least validation loss within the phase, counted over the whole training), the accuracies
        there, and `leaky_accuracy` (on test images, at the epoch within the phase of least loss on these).
    """
    rows = []
    for training in results.trainings:
        curves, start = _Curves(training["curves"]["splits"]), 0
        for phase, epochs in enumerate(training["phases"], 1):
            part = curves.part(start, start + epochs)
            start += epochs
            kept = part.least("validation")
            rows.append({
                "name": training["name"],
                "configuration": training["configuration"],
                "phase": phase,
                "epochs": epochs,
                "kept": kept,
                "validation_accuracy": part.at("validation", "accuracy", kept),
                "test_accuracy": part.at("test", "accuracy", kept),
                "leaky_accuracy": part.at("test", "accuracy", part.least("test")),
            })  # fmt: skip
    return _typed(rows, PHASES, counts=("phase", "epochs"))


def _typed(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], counts: Sequence[str]
) -> pd.DataFrame:
    """Return rows as a table whose columns have their types, filled or not."""
    texts = [name for name in columns if name in ("configuration", "name", "data")]
    figures = [name for name in columns if name not in (*texts, *counts)]
    return pd.DataFrame(rows, columns=list(columns)).astype(
        dict.fromkeys(texts, "str")
        | dict.fromkeys(counts, "int64")
        | dict.fromkeys(figures, "float64")
    )

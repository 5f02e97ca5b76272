"""What a run has of its own beside the published figures: accuracies, losses, importances, each with its interval.

Accuracies and importances are in percent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from bench.data.table import DATASETS
from bench.measure.statistics import wilson
from bench.measure.trainings import phases, trainings
from bench.report.measured import Measured
from bench.report.sections.members import importances
from bench.store.results import Results
from bench.studies.flowers17.names import DATA

_NAN = float("nan")
_TEST_IMAGES = DATASETS[DATA].splits["test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """One figure of ours.

    Attributes:
        value: NaN where there is none.
        low: of its 95 % interval; NaN for a figure without one.
        high: likewise.
        n: images it is of; 0 where none were counted.
        spread: standard deviation between trainings; NaN of fewer than two.
        trainings: how many it is the mean of; 0 of a figure of no training.
        planned: whether the run has the model.
    """

    value: float = _NAN
    low: float = _NAN
    high: float = _NAN
    n: int = 0
    spread: float = _NAN
    trainings: int = 0
    planned: bool = False


NOTHING = Ours()


class Run:
    """A run of the study, by what its published figures are of."""

    def __init__(self, results: Results, measured: Measured) -> None:
        self.results = results
        self.trainings, self.phases = trainings(results), phases(results)
        self.clean = measured.outcomes.clean
        self.importances = importances(results)
        self.rates = measured.attacks
        known = [*(one["model"] for one in results.models), *self.trainings["configuration"]]
        #: The models and configurations of the run, without their data set.
        self.names = [str(model).removeprefix(f"{DATA}/") for model in dict.fromkeys(known)]

    def has(self, model: str) -> bool:
        """Return whether the run has trainings of a configuration, or attacks a model of that name."""
        return model in set(self.trainings["configuration"]) or model in self.clean

    def trained(self, model: str, figure: str) -> Ours:
        """Return a figure of the trainings of a configuration.

        Args:
            model: the configuration, with its data set.
            figure: a column of `bench.measure.trainings.trainings`; the accuracy of a model without a
                record of its training is that on the images of the run.
        """
        found = self.trainings[self.trainings["configuration"] == model]
        if found.empty and figure == "test_accuracy":
            return self.on_clean_images(model)
        return _over_trainings(found[figure], figure)

    def in_phase(self, model: str, phase: int, figure: str) -> Ours:
        """Return a figure of one phase of the trainings of a configuration; see `trained`.

        Args:
            model: the configuration, with its data set.
            phase: counted from 1.
            figure: a column of `bench.measure.trainings.phases`.
        """
        found = self.phases
        found = found[(found["configuration"] == model) & (found["phase"] == phase)]
        return _over_trainings(found[figure], figure)

    def on_clean_images(self, model: str) -> Ours:
        """Return the accuracy of a model on all clean images of the run, with its Wilson interval."""
        right = self.clean.get(model)
        if right is None:
            known = {str(one["model"]) for one in self.results.models}
            return Ours(planned=model in known)
        low, high = wilson(int(right.sum()), len(right))
        return Ours(
            value=100 * float(right.mean()),
            low=100 * low,
            high=100 * high,
            n=len(right),
            planned=True,
        )

    def combined(self, how: str) -> Iterator[tuple[str, bool]]:
        """Yield the models made of others in some way, and whether the meta-learner of each saw leaked images."""
        for model in self.results.models:
            known = model.get("combined") or {}
            if model["data"] == DATA and known.get("how") == how:
                yield str(model["model"]), bool(known.get("leak"))

    def importance(self, model: str, member: str) -> Ours:
        """Return how much a member counts for the meta-learner of a model, over all its classes."""
        found = self.importances
        found = found[(found["model"] == model) & (found["member"] == member)]
        if found.empty:
            return NOTHING
        return Ours(value=100 * float(found["importance"].sum()), planned=True)

    def success(self, attack: str) -> tuple[str, Ours]:
        """Return how often an attack succeeded on a single network of the run, and in words on which.

        Of several cells the one with the largest radius counts, then the one on the most images.
        """
        found = self.rates
        found = found[(found["attack"] == attack) & (found["family"] == "network")]
        found = found[(found["goal"] == "misclassification") & found["successes"].notna()]
        if found.empty:
            return "", NOTHING
        order = found.assign(radius=found["eps"].fillna(0)).sort_values(
            ["radius", "attacked"], ascending=False, kind="stable"
        )
        cell: dict[Any, Any] = order.iloc[0].to_dict()
        eps = "" if pd.isna(cell["eps"]) else f" {cell['norm']} {cell['eps_text']}"
        rate, low, high = (100 * float(cell[name]) for name in ("success_rate", "low", "high"))
        ours = Ours(value=rate, low=low, high=high, n=int(cell["attacked"]), planned=True)
        return f"{cell['model']}{eps}", ours


def _over_trainings(values: pd.Series[float], figure: str) -> Ours:
    """Return the mean of a figure over trainings of one configuration.

    The interval of an accuracy on test images is Wilson's for the mean, since all trainings are judged on
    the same images; of other figures it is Student's, of two trainings or more.
    """
    known = values.dropna().to_numpy(dtype="float64")
    count = len(known)
    if not count:
        return Ours(planned=bool(len(values)))
    scale = 100.0 if figure.endswith("accuracy") else 1.0
    mean = float(known.mean())
    spread = float(np.std(known, ddof=1)) if count > 1 else _NAN
    if figure in ("test_accuracy", "leaky_accuracy"):
        n = _TEST_IMAGES
        low, high = wilson(round(n * mean), n)
    else:
        n = 0
        half = float(t.ppf(0.975, count - 1)) * spread / math.sqrt(count) if count > 1 else _NAN
        low, high = mean - half, mean + half
    return Ours(
        value=scale * mean, low=scale * low, high=scale * high, n=n, spread=scale * spread,
        trainings=count, planned=True,
    )  # fmt: skip

"""What is fitted on features and kept: scaling, classifier, and the network that stands in for a forest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.adapters.forest import Distilled, Forest
from bench.adapters.tops import (
    Fitted,
    GaussianBayes,
    Linear,
    LinearPairs,
    RbfPairs,
    Standardised,
    Stored,
    UnitLength,
)
from bench.train.features.names import UNIT_LENGTH, chosen
from bench.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Kind:
    """A classifier: how scikit-learn makes it, given a seed, and what holds its parameters."""

    estimator: Callable[[int], Any]
    empty: type[Fitted]


def _naive_bayes(seed: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


def _knn(seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier()


def _linear_svm(seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC(kernel="linear")


def _rbf_svm(seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC()


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=seed)


#: The classifiers by name, each with scikit-learn's own settings.
KINDS = {
    "naive-bayes": Kind(_naive_bayes, GaussianBayes),
    "knn": Kind(_knn, Stored),
    "linear-svm": Kind(_linear_svm, LinearPairs),
    "rbf-svm": Kind(_rbf_svm, RbfPairs),
    "logistic": Kind(_logistic, Linear),
    "forest": Kind(_forest, Forest),
}


class Head(Fitted):
    """What is kept of a model: all of it but the trunk.

    Attributes:
        steps: scale the features.
        top: the classifier, or what is stored for a vote.
        distilled: the network that stands in for a forest; None for others.
        trunk: the digest of the trunk's weights, as ASCII.
        temperature: what the scores are divided by on the surface, float64.
        agreement: how often the network that stands in for a forest decides as this does on mixtures of
            training features that it was not fitted on.
    """

    trunk: torch.Tensor
    temperature: torch.Tensor
    agreement: torch.Tensor

    def __init__(self, steps: nn.Sequential, top: Fitted, distilled: Distilled | None) -> None:
        super().__init__()
        self.steps, self.top, self.distilled = steps, top, distilled
        self.hold(trunk=torch.zeros(0, dtype=torch.uint8), temperature=1.0, agreement=0.0)

    def fitted_on(self) -> str:
        """Return the digest of the trunk's weights."""
        return bytes(self.trunk.tolist()).decode()


def untrained(recipe: Recipe) -> Head:
    """Return the head of a recipe, without sizes and values."""
    top = str(chosen(recipe, "top"))
    empty = KINDS[top].empty
    scaling = UnitLength() if top in UNIT_LENGTH else Standardised()
    return Head(nn.Sequential(scaling), empty(), Distilled() if empty is Forest else None)

"""Classifiers on features, as scikit-learn fits them: their scores and decisions in torch.

Scores are computed in double precision from the parameters that scikit-learn fitted, and have exact gradients
where scikit-learn's scores have one. Features keep the precision in which they come, as in scikit-learn.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.knn_index import KnnIndex
from bench.adapters.neighbours import votes

#: By how much the best score may lead on a surface, for this share of the images. At larger leads the
#: cross-entropy has no gradient in single precision, whose smallest number is about exp(-87).
_LEAD, _SHARE = 80.0, 0.95


class Fitted(nn.Module):
    """A module of tensors that take shape and precision from what is loaded."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self._buffers:
            if prefix + name in state:
                self._buffers[name] = torch.empty_like(state[prefix + name])
        super()._load_from_state_dict(state, prefix, *args)

    def hold(self, **tensors: Any) -> None:
        """Keep tensors as buffers by these names, in place of older ones."""
        for name, value in tensors.items():
            tensor = value.detach() if isinstance(value, torch.Tensor) else np.array(value)
            self._buffers[name] = torch.as_tensor(tensor).clone()


class Standardised(Fitted):
    """Features less their mean, over their standard deviation (StandardScaler)."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, mean: Any = (), scale: Any = ()) -> None:
        super().__init__()
        self.hold(mean=mean, scale=scale)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return scaled features (N, D)."""
        return (features - self.mean.to(features.dtype)) / self.scale.to(features.dtype)


class Stretched(Fitted):
    """Features times a factor, plus a shift (MinMaxScaler)."""

    factor: torch.Tensor
    shift: torch.Tensor

    def __init__(self, factor: Any = (), shift: Any = ()) -> None:
        super().__init__()
        self.hold(factor=factor, shift=shift)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return scaled features (N, D), rounded after each step as scikit-learn does."""
        stretched = (features.double() * self.factor).to(features.dtype)
        return (stretched.double() + self.shift).to(features.dtype)


class UnitLength(nn.Module):
    """Features scaled to an l2 norm of 1 (Normalizer)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return scaled features (N, D); all zeros stay so."""
        return F.normalize(features.double(), eps=1e-300).to(features.dtype)


class Top(Fitted):
    """A classifier on features.

    Attributes:
        scores: whether its scores are logits or probabilities.
    """

    scores: Literal["logits", "probabilities"] = "logits"

    def decide(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the decisions, int64 (N,), and the scores, float64 (N, C)."""
        scores: torch.Tensor = self(features)
        return scores.argmax(1), scores

    def place(self) -> torch.device:
        """Return the device that it computes on."""
        return next(self.buffers()).device

    def temperature(self, features: torch.Tensor) -> float:
        """Return what scores are divided by on a surface, so that the best hardly ever leads by more than 80.

        That changes no decision. Log-probabilities of naive Bayes lead by thousands.

        Args:
            features: scaled features (N, D) of images like those that will be attacked.
        """
        best = self(features).topk(2, dim=1).values
        return max(1.0, float((best[:, 0] - best[:, 1]).quantile(_SHARE)) / _LEAD)


def _of_two(decision: torch.Tensor) -> torch.Tensor:
    """Return scores (N, 2) of which the second leads by the decision function (N, 1) of two classes."""
    return torch.cat([torch.zeros_like(decision), decision], 1)


class Linear(Top):
    """One linear function a class, or a single one for two classes (LogisticRegression, LinearSVC)."""

    weight: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, weight: Any = (), intercept: Any = ()) -> None:
        super().__init__()
        self.hold(weight=weight, intercept=intercept)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the decision function (N, C)."""
        decision = F.linear(features.double(), self.weight, self.intercept)
        return decision if decision.shape[1] > 1 else _of_two(decision)


class GaussianBayes(Top):
    """Independent Gaussian features within each class (GaussianNB)."""

    mean: torch.Tensor
    variance: torch.Tensor
    prior: torch.Tensor

    def __init__(self, mean: Any = (), variance: Any = (), prior: Any = ()) -> None:
        super().__init__()
        self.hold(mean=mean, variance=variance, prior=prior)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities (N, C)."""
        features = features.double()
        # Class by class, since (N, C, D) may not fit the memory.
        joint = [
            math.log(prior)
            - 0.5 * (2 * math.pi * variance).log().sum()
            - 0.5 * ((features - mean) ** 2 / variance).sum(1)
            for mean, variance, prior in zip(
                self.mean, self.variance, self.prior.tolist(), strict=True
            )
        ]
        return torch.stack(joint, 1).log_softmax(1)


def _classes(pairs: torch.Tensor) -> int:
    """Return of how many classes these are all pairs (N, P)."""
    return (1 + math.isqrt(1 + 8 * pairs.shape[1])) // 2


class OneVsOne(Top):
    """A support vector machine that decides each pair of classes, and by the most pairs won (SVC).

    Attributes:
        breaks_ties: whether classes with equally many pairs are told apart by the scores, or the lower
            class is taken.
    """

    intercept: torch.Tensor

    def __init__(self, breaks_ties: bool = False) -> None:
        super().__init__()
        self.breaks_ties = breaks_ties

    def extra_repr(self) -> str:
        """Return how ties are decided, which so is part of the fingerprint."""
        return f"breaks_ties={self.breaks_ties}"

    def pairs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the decision function of each pair of classes (N, P), positive for the first of the pair.

        For two classes it is positive for the second, as in scikit-learn.
        """
        raise NotImplementedError

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return scikit-learn's decision function of shape `ovr`: pairs won, and a share of the confidence.

        The gradient is that of the confidence, as the number of pairs won is flat.
        """
        return self._scores(self.pairs(features))[0]

    def decide(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the decisions and the scores; of several best scores libsvm may take another."""
        scores, won = self._scores(self.pairs(features))
        return (scores if self.breaks_ties else won).argmax(1), scores

    def _scores(self, pairs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if pairs.shape[1] == 1:
            scores = _of_two(pairs)
            return scores, scores
        classes = _classes(pairs)
        first, second = torch.triu_indices(classes, classes, 1, device=pairs.device)
        wins = (pairs >= 0).to(pairs.dtype)
        empty = pairs.new_zeros(len(pairs), classes)
        won = empty.index_add(1, first, wins).index_add(1, second, 1 - wins)
        confidence = empty.index_add(1, first, pairs).index_add(1, second, -pairs)
        return won + confidence / (3 * (confidence.abs() + 1)), won


class WeakestPair(nn.Module):
    """The score of a class is the decision function of the pair with which it has most trouble.

    A class that wins all its pairs has the only score above 0, so that its decision is that of `OneVsOne`. The
    scores of that have a step wherever a pair changes sides, and a gradient of the confidence alone; these are
    continuous, and their gradient is that of the pair that an attack has to turn.
    """

    def __init__(self, machine: OneVsOne) -> None:
        super().__init__()
        self.machine = machine

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, C)."""
        pairs = self.machine.pairs(features)
        if pairs.shape[1] == 1:
            return _of_two(pairs)
        classes = _classes(pairs)
        first, second = torch.triu_indices(classes, classes, 1, device=pairs.device)
        table = pairs.new_full((len(pairs), classes, classes), torch.inf)
        table[:, first, second], table[:, second, first] = pairs, -pairs
        return table.amin(2)


class LinearPairs(OneVsOne):
    """A linear function a pair of classes (SVC with a linear kernel)."""

    weight: torch.Tensor

    def __init__(self, weight: Any = (), intercept: Any = (), breaks_ties: bool = False) -> None:
        super().__init__(breaks_ties)
        self.hold(weight=weight, intercept=intercept)

    def pairs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the decision function of each pair of classes (N, P)."""
        return F.linear(features.double(), self.weight, self.intercept)


class RbfPairs(OneVsOne):
    """Radial basis functions around the support vectors (SVC with an RBF kernel).

    Attributes:
        support: the support vectors (S, D).
        dual: the weight of each for each pair of classes (S, P).
        gamma: the inverse squared width of the kernel exp(-gamma ||x - s||^2).
    """

    support: torch.Tensor
    dual: torch.Tensor
    gamma: torch.Tensor

    def __init__(
        self,
        support: Any = (),
        dual: Any = (),
        intercept: Any = (),
        gamma: float = 1.0,
        breaks_ties: bool = False,
    ) -> None:
        super().__init__(breaks_ties)
        self.hold(
            support=support, dual=dual, intercept=intercept,
            gamma=torch.tensor(gamma, dtype=torch.float64),
        )  # fmt: skip

    def pairs(self, features: torch.Tensor) -> torch.Tensor:
        """Return the decision function of each pair of classes (N, P)."""
        features = features.double()
        squares = (features**2).sum(1, keepdim=True) + (self.support**2).sum(1)
        apart = (squares - 2 * features @ self.support.T).clamp(min=0)
        return (-self.gamma * apart).exp() @ self.dual + self.intercept


class Stored(Fitted):
    """The features that vote in k-NN (M, D), and their labels (M,)."""

    features: torch.Tensor
    labels: torch.Tensor

    def __init__(self, features: Any = (), labels: Any = ()) -> None:
        super().__init__()
        self.hold(features=features, labels=labels)


class Nearest(Top):
    """The vote of the k nearest stored features; of tied classes the lowest wins (KNeighborsClassifier)."""

    scores = "probabilities"

    def __init__(self, stored: Stored, index: KnnIndex, k: int) -> None:
        super().__init__()
        self.stored, self.index, self.k = stored, index, k

    def place(self) -> torch.device:
        """Return the device of the index, which moves with the surface of the vote."""
        return self.index.ready.device

    def extra_repr(self) -> str:
        """Return k and the distance, which so are part of the fingerprint."""
        return f"k={self.k}, distance={self.index.distance.name}"

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the shares of the votes (N, C)."""
        features = features.float()
        nearest = self.index.nearest(features, self.k)
        return votes(self.index.similarity(features, nearest), self.k).scores

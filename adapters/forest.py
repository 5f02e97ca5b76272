"""A random forest as arrays, and the network that stands in for its missing gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from bench.adapters.tops import Fitted, Top


class Forest(Top):
    """The mean of the class shares of many trees (RandomForestClassifier), without a gradient.

    The nodes of all trees stand in one table. A leaf has itself for both children, so that every path can be
    followed for as many steps as the deepest takes.

    Attributes:
        roots: the node at which each tree begins, int64 (T,).
        branches: of each node, where its feature is at most its threshold and where not, int32 (2, M).
        feature: which feature each node looks at, int32 (M,).
        threshold: float64 (M,).
        leaf: the row of `shares` of each node that is a leaf, int32 (M,).
        shares: the different shares of the classes in a leaf, float64 (L, C).
        depth: steps of the longest path.
    """

    scores = "probabilities"
    roots: torch.Tensor
    branches: torch.Tensor
    feature: torch.Tensor
    threshold: torch.Tensor
    leaf: torch.Tensor
    shares: torch.Tensor
    depth: torch.Tensor

    def __init__(self, **tables: Any) -> None:
        super().__init__()
        names = ("roots", "branches", "feature", "threshold", "leaf", "shares", "depth")
        self.hold(**{name: tables.get(name, ()) for name in names})

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the mean shares (N, C)."""
        features = features.float()  # as scikit-learn does before it compares with a threshold
        left, right = self.branches
        node = self.roots.expand(len(features), -1)
        for _ in range(int(self.depth)):
            goes_left = features.gather(1, self.feature[node].long()) <= self.threshold[node]
            node = torch.where(goes_left, left[node], right[node]).long()
        rows = self.leaf[node]
        total = self.shares.new_zeros(len(features), self.shares.shape[1])
        # Tree after tree, as scikit-learn does: in another order ties are rounded otherwise.
        for tree in range(len(self.roots)):
            total += self.shares[rows[:, tree]]
        return total / len(self.roots)


class Distilled(Fitted):
    """A network of one hidden layer, from features to logits, fitted to the probabilities of a forest."""

    inner: torch.Tensor
    inner_bias: torch.Tensor
    outer: torch.Tensor
    outer_bias: torch.Tensor

    def __init__(
        self, inner: Any = (), inner_bias: Any = (), outer: Any = (), outer_bias: Any = ()
    ) -> None:
        super().__init__()
        self.hold(inner=inner, inner_bias=inner_bias, outer=outer, outer_bias=outer_bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, C)."""
        hidden = F.linear(features.float(), self.inner, self.inner_bias).relu()
        return F.linear(hidden, self.outer, self.outer_bias)

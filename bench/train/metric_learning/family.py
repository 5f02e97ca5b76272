"""The family of metric learning: how embeddings are built and trained, and how they vote.

Imports torch when called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.spec import Adapter, Scalar
from bench.train.cards import Weights
from bench.train.epochs import Snapshots
from bench.train.recipe import LOSSES_WITHOUT_ANCHORS, Recipe

if TYPE_CHECKING:
    from bench.data.labelled import LabelledImages


def snapshots(recipe: Recipe, test: LabelledImages) -> Snapshots:
    """Return the snapshots of the embeddings of a few test images at three epochs."""
    from bench.train.metric_learning.snapshots import EmbeddingSnapshots

    return EmbeddingSnapshots(recipe, test)


def read_snapshots(payload: bytes) -> dict[str, Any]:
    """Return the snapshots for a run's log: `moments`, points (x, y) by epoch, and labels."""
    from bench.train.metric_learning.snapshots import read_embeddings

    points, labels = read_embeddings(payload)
    epochs = {str(epoch): plane.tolist() for epoch, plane in points.items()}
    return {"moments": {"labels": labels.tolist(), "epochs": epochs}}


def surfaces(recipe: Recipe) -> tuple[str, ...]:
    """Return the names of a vote's surrogates; a loss without anchors gives none."""
    names = ("soft-knn", "nearest-other", "metric-loss")
    return names[:2] if recipe.loss in LOSSES_WITHOUT_ANCHORS else names


def assemble(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter:
    """Return the vote of the nearest training images, which are embedded at first use."""
    from bench.train.metric_learning.neighbours import neighbours

    return neighbours(weights, **options)


def sketch(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter | None:
    """Return a vote to plan with; None if that would require embedding the training images."""
    from bench.train.metric_learning.neighbours import sketched_neighbours

    return sketched_neighbours(weights, **options)

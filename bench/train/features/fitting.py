"""Classifiers on the features of training images: fitted, and put back under their trunk."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from torch import nn

from bench.adapters.distances import distance
from bench.adapters.estimators import ReadEstimator, read_estimator
from bench.adapters.features import (
    DISTILLED_SURFACE,
    EXACT_SURFACE,
    SOFT_SURFACE,
    FeaturesAdapter,
    OnFeatures,
    RememberingAdapter,
)
from bench.adapters.forest import Forest
from bench.adapters.knn_index import KnnIndex, ReferenceSet
from bench.adapters.network import weights_digest
from bench.adapters.surrogates import SoftNeighbours
from bench.adapters.tops import Nearest, OneVsOne, Stored, Top, WeakestPair
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError
from bench.models.trunks import Trunk
from bench.spec import ImageSet, ModelSpec, Scalar
from bench.train.cards import Weights
from bench.train.features.distilling import kept_distilled
from bench.train.features.head import KINDS, Head, untrained
from bench.train.features.names import UNIT_LENGTH, chosen
from bench.train.features.trunks import digest_of, trunk_named
from bench.train.metric_learning.agreement import agreement_of
from bench.train.metric_learning.neighbours import whole
from bench.train.metric_learning.reference_sets import embedded
from bench.train.recipe import Recipe

#: The distance of k-NN votes on features: scikit-learn's.
_DISTANCE = "euclidean"


def fitted(recipe: Recipe, net: nn.Module, data: LabelledImages) -> float:
    """Fit the classifier of a recipe in place, and return its accuracy on the images it was fitted on.

    Args:
        recipe: says which trunk, which classifier and how many images.
        net: as `untrained` makes it.
        data: the training images.
    """
    from sklearn.exceptions import ConvergenceWarning

    images = data.first(int(chosen(recipe, "images")))
    trunk = trunk_named(str(chosen(recipe, "trunk")), str(next(net.buffers()).device))
    features = torch.cat(list(embedded(trunk.to(next(net.buffers()).device), images)))
    estimator = unfitted(str(chosen(recipe, "top")), recipe.seed)
    with warnings.catch_warnings():
        # The last step of a solver that ran out of steps is a classifier like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(features.numpy(), images.labels.numpy())
    head = fitted_head(read_estimator(estimator), features)
    head.hold(trunk=torch.tensor(list(digest_of(trunk).encode()), dtype=torch.uint8))
    net.load_state_dict(head.state_dict())
    return float(estimator.score(features.numpy(), images.labels.numpy()))


def unfitted(top: str, seed: int) -> Any:
    """Return scikit-learn's pipeline of a classifier, with the scaling of its features before it."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    scaling = Normalizer() if top in UNIT_LENGTH else StandardScaler()
    return make_pipeline(scaling, KINDS[top].estimator(seed))


def fitted_head(read: ReadEstimator, features: torch.Tensor) -> Head:
    """Return a classifier with what its surfaces need besides.

    Args:
        read: the parameters of the pipeline.
        features: of images like those that it was fitted on, not yet scaled, float32 (N, D).
    """
    steps, top = nn.Sequential(*read.steps), read.top
    scaled, distilled, notes = steps(features), None, {}
    if isinstance(top, Forest):
        distilled, notes["agreement"] = kept_distilled(top, scaled)
    elif isinstance(top, Top):
        notes["temperature"] = top.temperature(scaled)
    head = Head(steps, top, distilled)
    head.hold(**{name: torch.tensor(note, dtype=torch.float64) for name, note in notes.items()})
    return head


def parameters(net: nn.Module) -> int:
    """Return how many numbers there are in a trunk, or in what was fitted on it, without its notes."""
    if isinstance(net, Head):
        own = [value.numel() for value in net.top.buffers()]
        return sum(own) + sum(value.numel() for value in net.steps.buffers())
    return sum(value.numel() for value in net.parameters())


def assembled(weights: Weights, k: Scalar) -> FeaturesAdapter:
    """Return a trunk under its classifier as a model.

    Args:
        weights: of what was fitted.
        k: how many vote in k-NN.

    Raises:
        PrerequisiteError: the trunk is not here, or has other weights than when the classifier was fitted.
        SpecError: a k below 1.
    """
    rules = weights.recipe
    head = untrained(rules)
    head.load_state_dict(load_tensors(weights.payload))
    trunk = trunk_named(str(chosen(rules, "trunk")), weights.device)
    if head.fitted_on() != digest_of(trunk):
        raise PrerequisiteError(
            f"{weights.name} was fitted on other weights of its trunk {trunk.title}; run: bench train "
            f"{weights.name}"
        )
    known: dict[str, Any] = {"trunk": {"name": trunk.title, "trained_on": trunk.trained_on}}
    if isinstance(head.top, Stored):
        return _vote(weights, trunk, head, whole(weights.name, k), known)
    assert isinstance(head.top, Top)
    if head.distilled is not None:
        known["distilled"] = {"agreement": float(head.agreement)}
    return FeaturesAdapter(
        spec=_spec(weights, head.top), trunk=trunk, steps=head.steps, top=head.top,
        surrogates=surfaces_of(trunk, head), known=known,
    )  # fmt: skip


def surfaces_of(trunk: nn.Module, head: Head) -> dict[str, nn.Module]:
    """Return the surface of a classifier that is no vote by its name; none for a forest without a stand-in."""
    if isinstance(head.top, Forest):
        if head.distilled is None:
            return {}
        return {DISTILLED_SURFACE: OnFeatures(trunk, head.steps, head.distilled, 1.0)}
    scores = WeakestPair(head.top) if isinstance(head.top, OneVsOne) else head.top
    return {EXACT_SURFACE: OnFeatures(trunk, head.steps, scores, float(head.temperature))}


def _spec(weights: Weights, top: Top) -> ModelSpec:
    data = DATASETS[weights.recipe.data]
    return ModelSpec(
        name=weights.name, family="features", data=data.name, input_shape=data.input_shape,
        num_classes=len(data.classes), scores=top.scores,
    )  # fmt: skip


def _vote(
    weights: Weights, trunk: Trunk, head: Head, k: int, known: dict[str, Any]
) -> FeaturesAdapter:
    """Return the k-NN vote of the features that were stored."""
    rules, stored = weights.recipe, head.top
    assert isinstance(stored, Stored)
    references = ReferenceSet(
        embeddings=stored.features, labels=stored.labels,
        classes=len(DATASETS[rules.data].classes), data=rules.data, split="train",
        indices=f"0-{len(stored.labels) - 1}", checksum=weights_digest(stored),
    )  # fmt: skip
    index = KnnIndex(references, distance(_DISTANCE))
    top = Nearest(stored, index, k)
    embed = nn.Sequential(trunk, head.steps)
    agreement = agreement_of(embed, index, k, weights.data_root)
    tau = float(agreement["temperature"])
    return RememberingAdapter(
        spec=_spec(weights, top), trunk=trunk, steps=head.steps, top=top,
        surrogates={SOFT_SURFACE: SoftNeighbours(embed, index, k, tau)},
        known={**known, "surrogate": agreement},
        remembered=ImageSet(data=rules.data, split="train"),
    )  # fmt: skip

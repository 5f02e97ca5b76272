"""A user's own estimator of scikit-learn on a trunk, as a model of the benchmark."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.adapters.distances import distance
from bench.adapters.estimators import ReadEstimator, read_estimator
from bench.adapters.features import SOFT_SURFACE, FeaturesAdapter
from bench.adapters.knn_index import KnnIndex, ReferenceSet
from bench.adapters.modes import eval_mode
from bench.adapters.outputs import shape_of
from bench.adapters.surrogates import SoftNeighbours
from bench.adapters.tops import Nearest, Stored
from bench.errors import AdapterError
from bench.models.trunks import Trunk
from bench.registry import users_code
from bench.spec import ModelSpec
from bench.train.features.fitting import fitted_head, surfaces_of
from bench.train.features.head import Head
from bench.train.metric_learning.agreement import temperature_of

#: Images whose features are computed together.
_TOGETHER = 50


def wrap_sklearn(
    estimator: Any,
    trunk: nn.Module,
    input_shape: tuple[int, int, int],
    images: torch.Tensor | None = None,
    name: str = "unnamed",
    data: str = "",
) -> FeaturesAdapter:
    """Return a model of the benchmark from a fitted classifier of scikit-learn on the features of a trunk.

    LogisticRegression, LinearSVC, SVC (linear or RBF kernel) and GaussianNB have the surface `exact`: their own
    scores, of SVC those of the weakest pair of each class. KNeighborsClassifier has `soft-knn`,
    RandomForestClassifier `distilled`.
    StandardScaler, MinMaxScaler and Normalizer may stand before any of them in a Pipeline.

    The estimator is read from memory. A file of one should not be unpickled, since that runs code of whoever
    made it; skops reads such files without.

    Args:
        estimator: fitted on features of the trunk, with labels that count from 0.
        trunk: images (N, C, H, W) in [0, 1] to features, which are flattened; `bench.load_trunk` has some.
        input_shape: (C, H, W).
        images: some that the estimator was fitted on, float32 (N, C, H, W) in [0, 1]. Without them a forest has no
            surface, and only black-box attacks can reach it; naive Bayes needs them for scores small enough for
            the cross-entropy to have a gradient.
        name: the model's name; a registered model gets the name it is registered under.
        data: the data set it classifies; likewise.

    Raises:
        AdapterError: an estimator without such a form (the message says how black-box attacks can reach it), one
            that is not fitted, or a trunk with another number of features.
    """
    if not isinstance(trunk, nn.Module):
        raise AdapterError(
            f"wrap_sklearn: trunk is a {type(trunk).__name__}; give an nn.Module, such as "
            f"bench.load_trunk('cifar10/cnn')"
        )
    read = read_estimator(estimator)
    classes, shape = shape_of("wrap_sklearn", read.classes, input_shape)
    front = trunk if isinstance(trunk, Trunk) else Trunk(trunk, type(trunk).__name__, "not said")
    features = features_of(front, torch.rand(2, *shape) if images is None else images)
    wanted = int(estimator.n_features_in_)
    if features.shape[1] != wanted:
        raise AdapterError(
            f"wrap_sklearn: the trunk gives {features.shape[1]} features of images of shape {shape}, but the "
            f"estimator was fitted on {wanted}"
        )
    known = {"trunk": {"name": front.title, "trained_on": front.trained_on}}
    head = (
        Head(nn.Sequential(*read.steps), read.top, None)
        if images is None
        else fitted_head(read, features)
    )
    top: Any = head.top
    if isinstance(head.top, Stored):
        top, surfaces = _vote(read, front, head, head.top)
    else:
        surfaces = surfaces_of(front, head)
    spec = ModelSpec(
        name=name, family="features", data=data, input_shape=shape, num_classes=classes,
        scores=top.scores,
    )  # fmt: skip
    return FeaturesAdapter(
        spec=spec, trunk=front, steps=head.steps, top=top, surrogates=surfaces, known=known
    )


@users_code()
def features_of(trunk: Trunk, images: torch.Tensor) -> torch.Tensor:
    """Return the features of images (N, C, H, W) in [0, 1], float32 (N, D) on the CPU.

    Raises:
        AdapterError: the trunk does not take such images.
    """
    place = next((weight.device for weight in trunk.parameters()), torch.device("cpu"))
    try:
        with eval_mode(trunk), torch.no_grad():
            parts = [trunk(some.to(place)).float().cpu() for some in torch.split(images, _TOGETHER)]
    except (RuntimeError, ValueError, IndexError) as error:
        first = (str(error) or "no message").splitlines()[0]
        raise AdapterError(
            f"the trunk does not take images of shape {tuple(images.shape[1:])}: {first}"
        ) from error
    return torch.cat(parts)


def _vote(
    read: ReadEstimator, trunk: Trunk, head: Head, stored: Stored
) -> tuple[Nearest, dict[str, nn.Module]]:
    """Return the vote of stored features, and its surface."""
    references = ReferenceSet(
        embeddings=stored.features, labels=stored.labels, classes=read.classes, data="", split="",
        indices="", checksum="",
    )  # fmt: skip
    top = Nearest(stored, KnnIndex(references, distance(read.distance)), read.k)
    embed = nn.Sequential(trunk, head.steps)
    tau, _, _ = temperature_of(top.index, read.k)
    return top, {SOFT_SURFACE: SoftNeighbours(embed, top.index, read.k, tau)}

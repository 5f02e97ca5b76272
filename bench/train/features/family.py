"""The family of features: how classifiers on a frozen trunk are fitted, kept and loaded.

Imports torch when called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.errors import SpecError
from bench.spec import Adapter, Scalar
from bench.train.cards import Weights
from bench.train.epochs import Watch
from bench.train.features.names import TOPS, chosen
from bench.train.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from bench.data.labelled import LabelledImages

#: How many stored images vote in k-NN, unless the option says otherwise: as in scikit-learn.
_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class FittedOnce:
    """The single pass of a classifier over its training images."""

    images: int
    accuracy: float
    number: int = 1
    of: int = 1

    def line(self) -> str:
        """Return it in words."""
        return f"fitted on {self.images} images, training accuracy {self.accuracy:.2%}"


def surfaces(recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the surfaces of a classifier."""
    return TOPS[str(chosen(recipe, "top"))]


def build(recipe: Recipe) -> nn.Module:
    """Return what will be fitted, without sizes and values; the trunk is no part of it."""
    from bench.train.features.head import untrained

    return untrained(recipe)


def fit(recipe: Recipe, net: nn.Module, data: LabelledImages, watch: Watch) -> None:
    """Compute the features of the first training images, and fit the classifier on them.

    Raises:
        PrerequisiteError: the weights of the trunk are not here.
    """
    from bench.train.features.fitting import fitted

    accuracy = fitted(recipe, net, data)
    watch(FittedOnce(int(chosen(recipe, "images")), accuracy), net)


def card_facts(recipe: Recipe, net: nn.Module) -> dict[str, Any]:
    """Return the trunk, what it was trained on, and the number of parameters with those of the trunk."""
    from bench.train.features.fitting import parameters
    from bench.train.features.trunks import trunk_named

    trunk = trunk_named(str(chosen(recipe, "trunk")), "cpu")
    return {
        "trunk": trunk.title,
        "trunk_trained_on": trunk.trained_on,
        "parameters": parameters(trunk) + parameters(net),
    }


def assemble(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter:
    """Return the trunk under its classifier as a model.

    Args:
        name: of the model.
        weights: of what was fitted.
        options: `k`, for a k-NN vote.

    Raises:
        SpecError: an option that the classifier does not take.
        PrerequisiteError: the trunk is not here, or has other weights than when the classifier was fitted.
    """
    from bench.train.features.fitting import assembled

    top = str(chosen(weights.recipe, "top"))
    if options and top != "knn":
        raise SpecError(f"{name} takes no options, got {', '.join(options)}; k is for k-NN votes")
    return assembled(weights, options.get("k", _NEIGHBOURS))

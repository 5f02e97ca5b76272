"""The family of local learning: how its networks are built and trained. Imports torch when called.

A trained network is an ordinary one, with its own decision and surface, so no adapter is specific to local
learning; only `family` differs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.data.table import DATASETS
from bench.spec import Adapter, Scalar
from bench.train.cards import Weights
from bench.train.epochs import Snapshots, Watch
from bench.train.networks import network_function, network_model
from bench.train.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from bench.data.labelled import LabelledImages


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe: a front that computes features, and a linear head."""
    from bench.models.local import TwoLayers

    data = DATASETS[recipe.data]
    chosen: Any = dict(recipe.options)
    net: nn.Module = network_function(recipe)(
        data.input_shape, len(data.classes), TwoLayers(**chosen)
    )
    return net


def fit(recipe: Recipe, net: nn.Module, data: LabelledImages, watch: Watch) -> None:
    """Learn the filters, then train the head; for a back-propagated twin train both together.

    Raises:
        TrainingFailed: weights are no longer finite, or filters died.
    """
    from bench.train.gradient_descent import fit_whole
    from bench.train.local_learning.filters import fit_head, learnt

    options = dict(recipe.options)
    too_steep = f"n={options['n']} of {options['activation']}"
    if recipe.rule is None:
        fit_whole(recipe, net, data, watch, too_steep)
    else:
        learnt(recipe, recipe.rule, data, net, watch)
        fit_head(recipe, net, data, watch, too_steep)


def snapshots(recipe: Recipe, test: LabelledImages) -> Snapshots:
    """Return the snapshots of filters, at a few epochs of the phase that trains them."""
    from bench.train.local_learning.snapshots import FilterSnapshots

    return FilterSnapshots(recipe)


def read_snapshots(payload: bytes) -> dict[str, Any]:
    """Return the snapshots for a run's log: `filters`, base64 of uint8 (N, C, H, W) by epoch."""
    from bench.train.local_learning.snapshots import read_filters

    pictures = read_filters(payload)
    return {
        "filters": {
            "shape": list(next(iter(pictures.values())).shape),
            "epochs": {
                str(epoch): base64.b64encode(picture.numpy().tobytes()).decode()
                for epoch, picture in pictures.items()
            },
        }
    }


def card_facts(recipe: Recipe, net: nn.Module) -> dict[str, Any]:
    """Return the share of filters that are features, for filters learnt without gradients."""
    from bench.train.local_learning.rule import f_score

    if recipe.rule is None:
        return {}
    filters = next(net.parameters()).detach().flatten(1)
    return {"f_score": f_score(filters, int(dict(recipe.options)["p"]))}


def assemble(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter:
    """Return the network as a model, which takes no options: its name contains all of them."""
    return network_model(weights, build(weights.recipe))

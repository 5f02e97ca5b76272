"""The family of plain networks: built by a function and trained by gradient descent.

Also holds what the other families share with it. Imports torch when called.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.data.table import DATASETS
from bench.errors import PrerequisiteError, SpecError
from bench.spec import Adapter, Scalar
from bench.train.cards import Weights
from bench.train.epochs import Watch
from bench.train.recipe import Recipe, Start

if TYPE_CHECKING:
    from torch import nn

    from bench.data.labelled import LabelledImages


def network_function(recipe: Recipe) -> Any:
    """Return the function that builds the network of a recipe.

    Raises:
        SpecError: there is no such function.
    """
    module, _, function = recipe.network.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise SpecError(
            f"recipe: no network {recipe.network!r}; write module:function, or give the family a build"
        ) from error


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe, without its normalisation."""
    net: nn.Module = network_function(recipe)(**dict(recipe.options))
    return net


def build_embedding(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe, images to embeddings, without its normalisation."""
    net: nn.Module = network_function(recipe)(recipe.embedding)
    return net


def fit(recipe: Recipe, net: nn.Module, data: LabelledImages, watch: Watch) -> None:
    """Train the weights of a network by gradient descent, from others' weights where the recipe says so.

    Raises:
        SpecError: the recipe names a part that a network lacks.
        PrerequisiteError: the weights that it starts from are not here.
        TrainingFailed: weights or loss are no longer finite.
    """
    from bench.train.gradient_descent import fit_whole

    if recipe.start is not None:
        begin(recipe.start, net)
    fit_whole(recipe, net, data, watch)


def begin(start: Start, net: nn.Module) -> None:
    """Give a part of a network the weights that another model has.

    Raises:
        SpecError: no such model or part, or one of another form.
        PrerequisiteError: the weights are not here.
    """
    trained = _trained(start.model)
    try:
        weights = trained.get_submodule(start.part).state_dict()
        net.get_submodule(start.into).load_state_dict(weights)
    except (AttributeError, RuntimeError) as error:
        raise SpecError(
            f"recipe: part {start.into!r} cannot start from {start.part!r} of {start.model}: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _trained(name: str) -> nn.Module:
    """Return a trained network with its normalisation; of a published one its trunk, where that is known.

    Raises:
        SpecError: no such model.
        PrerequisiteError: its weights are not here.
    """
    from bench.train.cards import weights_folder
    from bench.train.features.trunks import PUBLISHED
    from bench.train.pretrained import PRETRAINED
    from bench.train.recipes import recipe
    from bench.train.weights import load_weights

    if name in PUBLISHED:
        return PUBLISHED[name]()
    if name in PRETRAINED:
        model = PRETRAINED[name].load()
    else:
        recipe(name)  # raises for a name that is none
        folder = weights_folder(name)
        if folder is None:
            raise PrerequisiteError(f"{name} has no weights; run: bench train {name}")
        model = load_weights(folder, name)
    (trained,) = model.surfaces().values()
    return trained


def card_facts(recipe: Recipe, net: nn.Module) -> dict[str, Any]:
    """Return the model that a training started from, and what that was trained on; nothing for any other."""
    from bench.train.features.trunks import trained_on

    if recipe.start is None:
        return {}
    return {"trunk": recipe.start.model, "trunk_trained_on": trained_on(recipe.start.model)}


def assemble(name: str, weights: Weights, options: Mapping[str, Scalar]) -> Adapter:
    """Return the network with its normalisation as a model, which takes no options."""
    return network_model(weights, build(weights.recipe))


def network_model(weights: Weights, net: nn.Module) -> Adapter:
    """Return a network with trained weights as a model of its recipe's family.

    Args:
        weights: the weights to load.
        net: untrained, as its family builds it.
    """
    from bench.adapters.network import wrap

    rules = weights.recipe
    data = DATASETS[rules.data]
    model = wrap(
        with_weights(net, weights.payload), len(data.classes), data.input_shape,
        rules.mean or None, rules.std or None,
    )  # fmt: skip
    return dataclasses.replace(model, spec=dataclasses.replace(model.spec, family=rules.family))


def with_weights(net: nn.Module, payload: bytes) -> nn.Module:
    """Return a network with the weights of a safetensors file, in single precision and eval mode.

    Raises:
        SafetensorError: the file cannot be read.
        RuntimeError: the weights belong to another network.
    """
    from safetensors.torch import load

    state = load(payload)
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return net.eval()

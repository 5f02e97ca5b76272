"""The one trainer: a recipe and images in, a trained network out."""

from __future__ import annotations

import torch
from torch import nn

from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.train.epochs import Watch
from bench.train.families import family_named
from bench.train.gradient_descent import MEMORY_FORMAT
from bench.train.poisoning import poisoned
from bench.train.recipe import Recipe


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe, without its normalisation."""
    return family_named(recipe.family).build(recipe)


def train(
    recipe: Recipe,
    data: LabelledImages,
    device: torch.device | str = "cpu",
    watch: Watch = lambda epoch, net: None,
) -> nn.Module:
    """Return a network trained by a recipe, in eval mode, on the CPU.

    Args:
        recipe: what to build and how to train it.
        data: the training images.
        device: the device to train on.
        watch: called after each epoch, with the network in its current state.

    Raises:
        TrainingFailed: weights are no longer finite, or filters died.
    """
    where = torch.device(device)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        if recipe.poison is not None:
            classes = len(DATASETS[recipe.data].classes)
            data = poisoned(data, recipe.poison, classes, recipe.seed)
        net = build(recipe).to(device).to(memory_format=MEMORY_FORMAT)
        family_named(recipe.family).fit(recipe, net, data, watch)
    return net.eval().cpu().to(memory_format=torch.contiguous_format)

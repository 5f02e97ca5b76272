"""Learning curves on images that are not trained on, and the epoch they choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.modes import eval_mode
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.train.epochs import Epoch
from bench.train.gradient_descent import normalised
from bench.train.phases import Inputs, behind_frozen, parts_named, phases_of
from bench.train.recipe import CROSS_ENTROPY, Recipe

_BATCH = 256


def held_out_splits(recipe: Recipe) -> list[str]:
    """Return the splits that a training is watched on: all but the one it trains on, or none.

    Raises:
        SpecError: the recipe chooses its epoch by a split that its data set lacks or that it trains on, or
            its network gives no logits.
    """
    if not recipe.select:
        return []
    splits = [split for split in DATASETS[recipe.data].splits if split != "train"]
    if recipe.select not in splits:
        raise SpecError(
            f"recipe: select = {recipe.select!r} is no split of {recipe.data} to choose an epoch by; it has "
            f"{', '.join(splits)}"
        )
    if recipe.loss != CROSS_ENTROPY or recipe.embedding:
        raise SpecError(f"recipe: select needs a network with the loss {CROSS_ENTROPY}")
    return splits


class LearningCurves:
    """Loss and accuracy on held-out images after each epoch, and the weights of the chosen one.

    All splits are measured, whichever chooses, so that one training tells what the others would have chosen.
    """

    def __init__(self, recipe: Recipe, held_out: Mapping[str, LabelledImages]) -> None:
        """Watch a training.

        Args:
            recipe: of the training, with `select`.
            held_out: the images of the splits of `held_out_splits`, by split.
        """
        self.recipe = recipe
        self.held_out = held_out
        self.curves: dict[str, list[tuple[float, float]]] = {split: [] for split in held_out}
        self.best: dict[str, torch.Tensor] = {}
        self._phase: tuple[int, nn.Module] | None = None
        self._measured: dict[str, tuple[nn.Module, Inputs]] = {}

    def watch(self, epoch: Epoch, net: nn.Module) -> Epoch:
        """Measure a network after an epoch, keep its weights if it is the best; return the epoch with both."""
        for split, (layers, inputs) in self._in_phase(epoch.number, net).items():
            labels = self.held_out[split].labels
            self.curves[split].append(held_out_loss(layers, inputs, labels))
        losses = [loss for loss, _ in self.curves[self.recipe.select]]
        if epoch.number == chosen_epoch(losses):
            self.best = {key: value.cpu().clone() for key, value in net.state_dict().items()}
        return dataclasses.replace(epoch, held_out=self.curves[self.recipe.select][-1])

    def _in_phase(self, number: int, net: nn.Module) -> dict[str, tuple[nn.Module, Inputs]]:
        """Return the layers that are measured after an epoch, and their inputs, by split.

        They are those of the network behind its frozen first layers, which are computed when a phase begins.
        """
        phase, before = [each for each in phases_of(self.recipe) if each[1] < number][-1]
        if self._phase != (before, net):
            device, parts = next(net.parameters()).device, parts_named(net, phase.frozen)
            self._phase = before, net
            self._measured = {
                split: behind_frozen(
                    net, parts, inputs_of(data, self.recipe, device), torch.arange(len(data))
                )
                for split, data in self.held_out.items()
            }
        return self._measured

    def facts(self) -> dict[str, Any]:
        """Return what a card says: the chosen epoch, and the curves by split."""
        losses = [loss for loss, _ in self.curves[self.recipe.select]]
        return {
            "chosen_epoch": chosen_epoch(losses),
            **{
                f"{split}_{figure}_by_epoch": [round(values[at], 4) for values in curve]
                for split, curve in self.curves.items()
                for at, figure in enumerate(("loss", "accuracy"))
            },
        }


def chosen_epoch(losses: Sequence[float]) -> int:
    """Return the number of the epoch of least loss, from 1; of equal ones the first."""
    return min(range(len(losses)), key=losses.__getitem__) + 1


def inputs_of(data: LabelledImages, recipe: Recipe, device: torch.device) -> Inputs:
    """Return what gives images, by their places, as the network of a recipe takes them."""
    return lambda rows: normalised(data.batch(rows).to(device), recipe)


def held_out_loss(net: nn.Module, inputs: Inputs, labels: torch.Tensor) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy of a network, in eval mode.

    Args:
        net: inputs to logits.
        inputs: of all images, by their places.
        labels: of all images (N,).
    """
    sums = torch.zeros(2, dtype=torch.float64)
    with eval_mode(net), torch.no_grad():
        for rows in torch.split(torch.arange(len(labels)), _BATCH):
            logits = net(inputs(rows)).float()
            right = labels[rows].to(logits.device)
            loss = F.cross_entropy(logits, right, reduction="sum")
            hits = (logits.argmax(1) == right).sum()
            sums += torch.stack((loss.double(), hits.double())).cpu()
    mean_loss, accuracy = (sums / len(labels)).tolist()
    return mean_loss, accuracy

"""How a network of local learning is trained: filters learnt once and kept in the cache, then its head.

Networks that differ in their heads alone share their filters.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from bench.data.datasets import LabelledImages
from bench.paths import cache_dir
from bench.store.files import atomic_write
from bench.train.epochs import Watch
from bench.train.gradient_descent import TrainingLoss, descend
from bench.train.local_learning.rule import FilterEpoch, FilterShape, f_score, learn_filters
from bench.train.objectives import objective
from bench.train.recipe import LocalRule, Recipe

#: Raised whenever the same rule and images no longer give the same filters.
_VERSION = 3

_BATCH = 500


def learnt(
    recipe: Recipe, rule: LocalRule, data: LabelledImages, net: nn.Module, watch: Watch
) -> None:
    """Give a network the filters of its recipe: those of the cache, or learnt where it lies.

    Args:
        recipe: of a network of `bench.models.local`.
        rule: the recipe's.
        data: the training images.
        net: it gets the filters, which are not trained any more.
        watch: called after each epoch with the network; where the cache has the filters, after the
            epochs that are kept there.
    """
    options = dict(recipe.options)
    shape = FilterShape(K=int(options["K"]), w=int(options["w"]), p=int(options["p"]))
    held = next(net.parameters())
    held.requires_grad_(False)
    path = _file(recipe, rule, data)
    kept = _kept(path)
    if kept is not None:
        for number, filters in sorted(kept.items()):
            held.copy_(filters.view_as(held))
            watch(FilterEpoch(number, rule.epochs, f_score(filters, shape.p), 0.0), net)
        return
    by_epoch = {}

    def keep(epoch: FilterEpoch, filters: torch.Tensor) -> None:
        held.copy_(filters.view_as(held))
        if epoch.number in watched(epoch.of):
            by_epoch[epoch.number] = filters.cpu().clone()
        watch(epoch, net)

    learn_filters(rule, data, shape, seed=recipe.seed, device=held.device, watch=keep)
    atomic_write(path, save_tensors({f"epoch-{n}": found for n, found in by_epoch.items()}))


def watched(epochs: int) -> tuple[int, ...]:
    """Return the epochs that pictures of filters are of: the first ones, the middle and the last."""
    return tuple(sorted({1, min(4, epochs), (epochs + 1) // 2, epochs}))


def _file(recipe: Recipe, rule: LocalRule, data: LabelledImages) -> Path:
    kept = {key: value for key, value in recipe.options if key in ("K", "w", "p")}
    named = {
        "version": _VERSION,
        "rule": dataclasses.asdict(rule),
        "seed": recipe.seed,
        "images": data.checksum(),
        **kept,
    }
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:20]
    return cache_dir() / "filters" / f"{recipe.data}-{digest}.safetensors"


def _kept(path: Path) -> dict[int, torch.Tensor] | None:
    """Return filters (K * K, D) by epoch from a file; None where it is not there or damaged."""
    try:
        found = load_tensors(path.read_bytes())
    except (OSError, SafetensorError):
        return None
    return {int(name.removeprefix("epoch-")): value for name, value in found.items()}


def responses(front: nn.Module, raw: torch.Tensor, top: int) -> torch.Tensor:
    """Return the features that a front gives for images (N, C, H, W), in their order, as bfloat16.

    In single precision those of wide networks would not fit in memory; half precision has no room
    for steep powers of small activations. Each is rounded by less than half a per cent.
    """
    found = []
    with torch.no_grad():
        for part in torch.split(raw, _BATCH):
            found.append(front(part.float() / top).bfloat16())
    return torch.cat(found)


def fit_head(
    recipe: Recipe, net: nn.Module, data: LabelledImages, watch: Watch, too_steep: str
) -> None:
    """Train the linear head of a network whose filters are learnt, where it lies.

    Args:
        recipe: of a network of `bench.models.local`.
        net: a front that gives features, and the head.
        data: the training images.
        watch: called after each epoch with the network.
        too_steep: as `bench.train.gradient_descent.fit_whole`.

    Raises:
        TrainingFailed: weights that are no numbers any more.
    """
    front, head = net.children()
    device = next(net.parameters()).device
    found = responses(front, data.raw.to(device), data.top)
    centred = Centred(head, found)
    loss = TrainingLoss(recipe=recipe, net=centred, of=objective(recipe))
    descend(
        loss,
        lambda rows: found[rows].float(),
        data.labels.to(device),
        lambda epoch: watch(epoch, net),
        too_steep,
    )
    centred.settle()


class Centred(nn.Module):
    """A linear layer as it is trained on features that are far from zero in the mean.

    The mean moves all logits at once, so that steps along it have to be small and those along all
    else are slow. Here it is taken off while training, and goes into the bias at the end.
    """

    def __init__(self, head: nn.Module, features: torch.Tensor) -> None:
        super().__init__()
        assert isinstance(head, nn.Linear)
        self.head = head
        total = sum(part.float().sum(0) for part in torch.split(features, _BATCH))
        self.mean = torch.as_tensor(total) / len(features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of features (N, D) less their mean."""
        logits: torch.Tensor = self.head(x)
        return logits - self.head.weight @ self.mean

    def settle(self) -> None:
        """Give the layer the bias with which it says of features what this says of them."""
        with torch.no_grad():
            self.head.bias.sub_(self.head.weight @ self.mean)

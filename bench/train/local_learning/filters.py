"""The front of a network of local learning: filters learnt once, kept in the cache, and their responses.

Networks that differ in their heads alone share their filters.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from bench.data.datasets import LabelledImages
from bench.paths import cache_dir
from bench.store.files import atomic_write
from bench.train.local_learning.rule import FilterEpoch, f_score, learn_filters
from bench.train.recipe import LocalRule, Recipe

#: Raised whenever the same rule and images no longer give the same filters.
_VERSION = 3

_BATCH = 500


def learnt(
    recipe: Recipe,
    rule: LocalRule,
    data: LabelledImages,
    device: torch.device | str,
    net: nn.Module,
    watch: Callable[[FilterEpoch, nn.Module], None],
) -> None:
    """Give a network the filters of its recipe: those of the cache, or learnt here.

    Args:
        recipe: of a network of `bench.models.local`.
        rule: the recipe's.
        data: the training images.
        device: where.
        net: it gets the filters, which are not trained any more.
        watch: called after each epoch with the network; of the cache's after the moments kept.
    """
    options = dict(recipe.options)
    width, p = int(options["w"]), int(options["p"])
    held = next(net.parameters())
    held.requires_grad_(False)
    path = _file(recipe, rule, data)
    moments = _kept(path)
    if moments is None:
        moments = {}

        def keep(epoch: FilterEpoch, filters: torch.Tensor) -> None:
            held.copy_(filters.view_as(held))
            if epoch.number in watched(epoch.of):
                moments[epoch.number] = filters.cpu().clone()
            watch(epoch, net)

        learn_filters(
            rule, data, K=int(options["K"]), w=width, p=p, seed=recipe.seed, device=device,
            watch=keep,
        )  # fmt: skip
        atomic_write(path, save_tensors({f"epoch-{n}": found for n, found in moments.items()}))
        return
    for number, filters in sorted(moments.items()):
        held.copy_(filters.view_as(held))
        watch(FilterEpoch(number, rule.epochs, f_score(filters, p), 0.0), net)


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

"""The temperature at which a differentiable vote agrees with the k-NN vote, and how often it does.

Measured at first use and cached.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.adapters.knn_index import ABSENT, KnnIndex
from bench.adapters.neighbours import votes
from bench.adapters.network import weights_digest
from bench.adapters.surrogates import candidates, soft_votes
from bench.data.datasets import load
from bench.errors import AdapterError
from bench.paths import cache_dir
from bench.store.files import atomic_write
from bench.train.metric_learning.reference_sets import checksum_of, embedded

_BATCH = 500
_TRIED = 2000
#: How often a differentiable vote must agree with the k-NN vote, over images where that is not tied.
AGREEMENT = 0.99
#: Temperatures tried, the largest first, in units of similarity.
_TEMPERATURES = [10 ** (-power / 4) for power in range(2, 25)]


def agreement_of(embed: nn.Module, index: KnnIndex, k: int, root: Path | None) -> dict[str, Any]:
    """Return the temperature of a differentiable vote, and how often it agrees with the k-NN vote.

    The temperature is the largest at which both agree on 99 % of 2,000 stored images, drawn with a fixed
    seed, each classified by the others. Agreement is then measured on the test split.

    Returns:
        `k`, `distance`, `temperature` (in units of similarity), `left_out_agreement` and
        `left_out_images` (of the reference set), `soft_knn_agreement` (on the `untied` of `images` of the test
        split; None where all votes are tied).

    Raises:
        AdapterError: no temperature agrees on 99 % of the images whose vote is not tied.
    """
    kept = kept_agreement(embed, index.reference_set.data, index.distance.name, k, root)
    if kept is not None:
        return kept
    temperature, left_out, count = temperature_of(index, k)
    same, untied, images = _agreeing(_asked(embed, index, root, candidates(k)), k, temperature)
    measured = {
        "k": k, "distance": index.distance.name, "temperature": temperature,
        "left_out_agreement": left_out, "left_out_images": count,
        "soft_knn_agreement": same / untied if untied else None, "untied": untied, "images": images,
    }  # fmt: skip
    path = _path(embed, index.reference_set.data, index.distance.name, k, root)
    atomic_write(path, (json.dumps(measured) + "\n").encode(), "BENCH_CACHE")
    return measured


def kept_agreement(
    embed: nn.Module, data: str, distance: str, k: int, root: Path | None
) -> dict[str, Any] | None:
    """Return what `agreement_of` measured earlier, without embedding anything; None if it did not.

    Args:
        embed: images (N, C, H, W) in [0, 1] to embeddings.
        data: the data set whose training split votes.
        distance: name of the distance.
        k: how many vote.
        root: the data folder.
    """
    path = _path(embed, data, distance, k, root)
    if not path.is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def _path(embed: nn.Module, data: str, distance: str, k: int, root: Path | None) -> Path:
    """Return the cache file, named by everything that the measurement depends on."""
    method = f"{candidates(k)} {_TRIED} {AGREEMENT} {_TEMPERATURES[0]} {_TEMPERATURES[-1]}"
    images = f"{checksum_of(data, 'train', root)} {checksum_of(data, 'test', root)}"
    facts = f"{_weights(embed)} {images} {k} {distance} {method}"
    name = hashlib.sha256(facts.encode()).hexdigest()[:20]
    return cache_dir() / "banks" / f"agreement-{data}-{name}.json"


@cache
def _weights(embed: nn.Module) -> str:
    return weights_digest(embed)


def temperature_of(index: KnnIndex, k: int) -> tuple[float, float, int]:
    """Return the largest temperature with enough agreement, the agreement, and the number of images.

    Raises:
        AdapterError: no temperature agrees on 99 % of the images whose vote is not tied.
    """
    near = _left_out(index, candidates(k))
    for temperature in _TEMPERATURES:
        same, untied, count = _agreeing(near, k, temperature)
        if untied and same >= AGREEMENT * untied:
            return temperature, same / untied, count
    raise AdapterError(
        f"no temperature down to {_TEMPERATURES[-1]:.1g} makes a differentiable vote of {k} agree "
        f"with the vote on {AGREEMENT:.0%} of the images"
    )


def _agreeing(near: torch.Tensor, k: int, temperature: float) -> tuple[int, int, int]:
    """Return how many untied votes the differentiable vote repeats, the untied votes, and all votes."""
    voted = votes(near, k).labels
    soft = soft_votes(near, k, temperature).argmax(1)
    return int((soft == voted).sum()), int((voted >= 0).sum()), len(voted)


# Models on one trunk that differ only in k need the same similarities, one after the other.
@lru_cache(maxsize=4)
def _left_out(index: KnnIndex, count: int) -> torch.Tensor:
    """Return similarities of some stored images to the nearest others of each class: (N, C, L)."""
    references = index.reference_set
    drawn = torch.randperm(len(references.labels), generator=torch.Generator().manual_seed(0))[
        :_TRIED
    ]
    return _near(index, references.embeddings[drawn], count + 1, drawn)


@lru_cache(maxsize=4)
def _asked(embed: nn.Module, index: KnnIndex, root: Path | None, count: int) -> torch.Tensor:
    """Return similarities of the test images to the nearest stored images of each class: (N, C, L)."""
    return _near(index, _test(embed, index.reference_set.data, root), count)


@cache
def _test(embed: nn.Module, data: str, root: Path | None) -> torch.Tensor:
    images = load(data, "test", root)
    return torch.cat(list(embedded(embed, images)))


def _near(
    index: KnnIndex, embeddings: torch.Tensor, count: int, itself: torch.Tensor | None = None
) -> torch.Tensor:
    similarities, device = [], index.ready.device
    for rows in torch.split(torch.arange(len(embeddings)), _BATCH):
        some = embeddings[rows].to(device)
        nearest = index.nearest(some, count)
        near = index.similarity(some, nearest)
        if itself is not None:
            near = near.masked_fill(nearest == itself[rows].to(device).view(-1, 1, 1), ABSENT)
        similarities.append(near.cpu())
    return torch.cat(similarities)

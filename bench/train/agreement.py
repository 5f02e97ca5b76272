"""How sharp a differentiable vote must be to say what the vote says, and how often it then does.

Measured at first use and kept in the cache.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.adapters.neighbours import votes
from bench.adapters.stored import Stored
from bench.adapters.surrogates import candidates, soft_votes
from bench.data.datasets import load
from bench.errors import AdapterError
from bench.paths import cache_dir
from bench.store.files import atomic_write
from bench.train.banks import checksum_of, embedded

_BATCH = 500
_TRIED = 2000
#: How often a differentiable vote must say what the vote says, where the vote is not tied.
AGREEMENT = 0.99
#: Temperatures tried, the largest first, in units of similarity.
_TEMPERATURES = [10 ** (-power / 4) for power in range(2, 25)]
#: A similarity that none reaches: an image is left out of its own vote.
_FAR = -1e6


class _Near(NamedTuple):
    """Of some images, the similarities and labels (N, L) of the nearest of each class."""

    similarity: torch.Tensor
    labels: torch.Tensor
    widths: list[int]


def agreement_of(embed: nn.Module, stored: Stored, k: int, root: Path | None) -> dict[str, Any]:
    """Return the temperature of a differentiable vote, and how often it says what the vote says.

    The temperature is the largest at which it does so on 99 % of 2,000 stored images, drawn with a
    fixed seed, of which each votes among all the others. Then the test split is asked about.

    Returns:
        `k`, `distance`, `temperature` (in units of similarity), `left_out_agreement` and
        `left_out_images` (of the bank), `soft_knn_agreement` (on the `untied` of `images` of the test
        split; None where all votes are tied).

    Raises:
        AdapterError: no temperature agrees on 99 % of the images whose vote is not tied.
    """
    data = stored.bank.data
    name = _name(stored, k, checksum_of(data, "test", root))
    path = cache_dir() / "banks" / f"agreement-{data}-{name}.json"
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    temperature, left_out, count = temperature_of(stored, k)
    same, untied, images = _agreeing(_asked(embed, stored, root, candidates(k)), k, temperature)
    found = {
        "k": k, "distance": stored.distance.name, "temperature": temperature,
        "left_out_agreement": left_out, "left_out_images": count,
        "soft_knn_agreement": same / untied if untied else None, "untied": untied, "images": images,
    }  # fmt: skip
    atomic_write(path, (json.dumps(found) + "\n").encode())
    return found


def _name(stored: Stored, k: int, asked: str) -> str:
    method = f"{candidates(k)} {_TRIED} {AGREEMENT} {_TEMPERATURES[0]} {_TEMPERATURES[-1]}"
    facts = f"{_digest(stored)} {stored.bank.checksum} {asked} {k} {stored.distance.name} {method}"
    return hashlib.sha256(facts.encode()).hexdigest()[:20]


@cache
def _digest(stored: Stored) -> str:
    return hashlib.sha256(stored.bank.embeddings.numpy().tobytes()).hexdigest()


def temperature_of(stored: Stored, k: int) -> tuple[float, float, int]:
    """Return the largest temperature that agrees, the share it agrees on, and of how many images.

    Raises:
        AdapterError: none agrees on 99 % of the images whose vote is not tied.
    """
    near = _left_out(stored, candidates(k))
    for temperature in _TEMPERATURES:
        same, untied, count = _agreeing(near, k, temperature)
        if untied and same >= AGREEMENT * untied:
            return temperature, same / untied, count
    raise AdapterError(
        f"no temperature down to {_TEMPERATURES[-1]:.1g} makes a differentiable vote of {k} agree "
        f"with the vote on {AGREEMENT:.0%} of the images"
    )


def _agreeing(near: _Near, k: int, temperature: float) -> tuple[int, int, int]:
    """Return how many untied votes a differentiable vote repeats, how many there are, of how many."""
    said = votes(near.similarity, near.labels, k, len(near.widths)).labels
    parts = torch.split(near.similarity, near.widths, dim=1)
    soft = soft_votes(parts, k, temperature).argmax(1)
    return int((soft == said).sum()), int((said >= 0).sum()), len(said)


# Models on one trunk that differ in k alone ask the same, one after the other.
@lru_cache(maxsize=4)
def _left_out(stored: Stored, count: int) -> _Near:
    """Return what is near some stored images, each of them left out of its own vote."""
    bank = stored.bank
    drawn = torch.randperm(len(bank.labels), generator=torch.Generator().manual_seed(0))[:_TRIED]
    return _near(stored, bank.embeddings[drawn], count + 1, drawn)


@lru_cache(maxsize=4)
def _asked(embed: nn.Module, stored: Stored, root: Path | None, count: int) -> _Near:
    """Return what is near the images of the test split."""
    return _near(stored, _test(embed, stored.bank.data, root), count)


@cache
def _test(embed: nn.Module, data: str, root: Path | None) -> torch.Tensor:
    images = load(data, "test", root)
    return torch.cat(list(embedded(embed, images, torch.arange(len(images)))))


def _near(
    stored: Stored, embeddings: torch.Tensor, count: int, itself: torch.Tensor | None = None
) -> _Near:
    similarities, labels, widths = [], [], [min(count, size) for size in stored.sizes]
    device = stored.labels.device
    for rows in torch.split(torch.arange(len(embeddings)), _BATCH):
        some = embeddings[rows].to(device)
        nearest = torch.cat(stored.nearest(some, count), dim=1)
        near = stored.similarity(some, nearest)
        if itself is not None:
            near = near.masked_fill(nearest == itself[rows].to(device).unsqueeze(1), _FAR)
        similarities.append(near.cpu())
        labels.append(stored.labels[nearest].cpu())
    return _Near(torch.cat(similarities), torch.cat(labels), widths)

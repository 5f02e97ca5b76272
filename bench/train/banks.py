"""Banks of embedded training images for votes of the nearest; made at first use, kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from bench.adapters.neighbours import Bank, Similarity, votes
from bench.adapters.network import eval_mode, weights_digest
from bench.adapters.surrogates import soft_votes
from bench.data.datasets import LabelledImages, load
from bench.errors import AdapterError
from bench.paths import cache_dir
from bench.store.files import atomic_write

_BATCH = 500
_TRIED = 2000
#: How often a differentiable vote must say what the vote says, where the vote is not tied.
AGREEMENT = 0.99
#: Temperatures tried, the largest first, in units of similarity.
_TEMPERATURES = [10 ** (-power / 4) for power in range(2, 25)]


def bank_of(embed: nn.Module, data: str, root: Path | None) -> Bank:
    """Return the embedded training split of a data set, from the cache where it is there.

    Args:
        embed: images (N, C, H, W) in [0, 1] to embeddings.
        data: the data set.
        root: the data folder.
    """
    images = load(data, "train", root)
    order = images.labels.argsort(stable=True)
    checksum = images.checksum()
    name = hashlib.sha256(f"{weights_digest(embed)} {checksum}".encode()).hexdigest()[:20]
    path = cache_dir() / "banks" / f"{data}-train-all-{name}.safetensors"
    embeddings = _kept(path, len(images))
    if embeddings is None:
        embeddings = torch.cat(list(_embedded(embed, images, order)))
        if not embeddings.isfinite().all():
            raise AdapterError(f"embeddings of {data} train are not finite; check the weights")
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, save_tensors({"embeddings": embeddings}))
    return Bank(
        embeddings=embeddings, labels=images.labels[order], data=data, split="train",
        indices="all", checksum=checksum,
    )  # fmt: skip


def _kept(path: Path, count: int) -> torch.Tensor | None:
    """Return the embeddings of a file of the cache; None where it is not there or damaged."""
    try:
        found = load_tensors(path.read_bytes())["embeddings"]
    except (OSError, SafetensorError, KeyError):
        return None
    return found if len(found) == count else None


def _embedded(
    embed: nn.Module, images: LabelledImages, order: torch.Tensor
) -> Iterator[torch.Tensor]:
    device = next(embed.parameters()).device
    with eval_mode(embed), torch.no_grad():
        for rows in torch.split(order, _BATCH):
            yield embed((images.raw[rows].float() / images.top).to(device)).cpu()


def temperature_of(bank: Bank, similarity: Similarity, k: int, distance: str) -> float:
    """Return the largest temperature at which a differentiable vote agrees with the vote.

    Each of 2,000 stored images, drawn with a fixed seed, votes among all the others.

    Raises:
        AdapterError: none agrees on 99 % of the images whose vote is not tied.
    """
    path = cache_dir() / "banks" / f"temperature-{_name(bank, k, distance)}.json"
    if path.is_file():
        return float(json.loads(path.read_text())["temperature"])
    drawn = torch.randperm(len(bank.labels), generator=torch.Generator().manual_seed(0))[:_TRIED]
    for temperature in _TEMPERATURES:
        share = _agreement(bank, similarity, k, temperature, drawn)
        if share >= AGREEMENT:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = {"temperature": temperature, "agreement": share, "images": len(drawn)}
            atomic_write(path, (json.dumps(kept) + "\n").encode())
            return temperature
    raise AdapterError(
        f"no temperature down to {_TEMPERATURES[-1]:.1g} makes a differentiable vote of {k} agree "
        f"with the vote on {AGREEMENT:.0%} of the images"
    )


def _name(bank: Bank, k: int, distance: str) -> str:
    digest = hashlib.sha256(f"{bank.title()} {bank.checksum} {k} {distance}".encode())
    digest.update(bank.embeddings.numpy().tobytes())
    return digest.hexdigest()[:20]


def _agreement(
    bank: Bank, similarity: Similarity, k: int, temperature: float, drawn: torch.Tensor
) -> float:
    """Return the share of untied votes that a differentiable vote repeats, leaving each image out."""
    sizes = torch.bincount(bank.labels).tolist()
    same = untied = 0
    for rows in torch.split(drawn, _BATCH):
        near = similarity(bank.embeddings[rows], bank.embeddings)
        near[torch.arange(len(rows)), rows] = -torch.inf
        said = votes(near, bank.labels, k, len(sizes)).labels
        soft = soft_votes(torch.split(near, sizes, dim=1), k, temperature).argmax(1)
        untied += int((said >= 0).sum())
        same += int((soft == said).sum())
    return same / untied if untied else 0.0

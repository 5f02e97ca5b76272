"""Embedded training images for k-NN votes, computed at first use and cached.

They are made here and handed to the adapter, since adapters know nothing of data sets and caches. Models on
one trunk differ only in k and distance, so within a process they share the set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from bench.adapters.distances import distance
from bench.adapters.knn_index import KnnIndex, ReferenceSet
from bench.adapters.modes import eval_mode
from bench.adapters.network import weights_digest
from bench.adapters.passes import images_at_once
from bench.data.datasets import load
from bench.data.labelled import LabelledImages
from bench.data.table import DATASETS
from bench.errors import AdapterError
from bench.paths import cache_dir
from bench.store.files import atomic_write, check_folder


@cache
def index_of(embed: nn.Module, data: str, root: Path | None, named: str) -> KnnIndex:
    """Return the embedded training split of a data set, prepared for a distance, once per process.

    Args:
        embed: frozen network, images (N, C, H, W) in [0, 1] to embeddings.
        data: the data set.
        root: the data folder.
        named: name of the distance.
    """
    return KnnIndex(_reference_set(embed, data, root), distance(named))


@cache
def _reference_set(embed: nn.Module, data: str, root: Path | None) -> ReferenceSet:
    return reference_set_of(embed, data, root)


@cache
def checksum_of(data: str, split: str, root: Path | None) -> str:
    """Return the checksum of a split of a data set, computed once per process."""
    return load(data, split, root).checksum()


def reference_set_of(embed: nn.Module, data: str, root: Path | None) -> ReferenceSet:
    """Return the embedded training split of a data set, from the cache if possible.

    Args:
        embed: images (N, C, H, W) in [0, 1] to embeddings.
        data: the data set.
        root: the data folder.
    """
    images = load(data, "train", root)
    order = images.labels.argsort(stable=True)
    checksum = checksum_of(data, "train", root)
    name = hashlib.sha256(f"{weights_digest(embed)} {checksum}".encode()).hexdigest()[:20]
    path = cache_dir() / "banks" / f"{data}-train-all-{name}.safetensors"
    embeddings = _kept(path, len(images))
    if embeddings is None:
        check_folder(path.parent, "embedded images", "BENCH_CACHE")
        embeddings = torch.cat(list(embedded(embed, images, order)))
        if not embeddings.isfinite().all():
            raise AdapterError(f"embeddings of {data} train are not finite; check the weights")
        atomic_write(path, save_tensors({"embeddings": embeddings}), "BENCH_CACHE")
    return ReferenceSet(
        embeddings=embeddings, labels=images.labels[order], classes=len(DATASETS[data].classes),
        data=data, split="train", indices="all", checksum=checksum,
    )  # fmt: skip


@cache
def random_reference_set(data: str, root: Path | None, width: int) -> ReferenceSet:
    """Return a data set's training split with random embeddings (M, width), once per process.

    Args:
        data: the data set.
        root: the data folder.
        width: of an embedding.
    """
    labels = load(data, "train", root).labels.sort().values
    drawn = torch.randn((len(labels), width), generator=torch.Generator().manual_seed(0))
    return ReferenceSet(
        embeddings=drawn, labels=labels, classes=len(DATASETS[data].classes), data=data,
        split="train", indices="all", checksum=checksum_of(data, "train", root),
    )  # fmt: skip


def _kept(path: Path, count: int) -> torch.Tensor | None:
    """Return the embeddings in a cache file; None if it is missing or damaged."""
    try:
        embeddings = load_tensors(path.read_bytes())["embeddings"]
    except (OSError, SafetensorError, KeyError):
        return None
    return embeddings if len(embeddings) == count else None


def embedded(
    embed: nn.Module, images: LabelledImages, order: torch.Tensor | None = None
) -> Iterator[torch.Tensor]:
    """Yield the embeddings of images in an order, at most a few hundred at a time, on the CPU."""
    device = next(embed.parameters()).device
    order = torch.arange(len(images)) if order is None else order
    with eval_mode(embed), torch.no_grad():
        for rows in torch.split(order, images_at_once(images.shape())):
            yield embed(images.batch(rows).to(device)).cpu()

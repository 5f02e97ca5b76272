"""Embedded training images, and the exact search for the nearest of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.distances import Distance

#: Similarities are looked through in so many layers, first for the largest of each column of them.
_LAYERS = 8
#: How many stored images say how far apart two of them usually are.
_SAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bank:
    """Embedded training images, sorted by class.

    Attributes:
        embeddings: float32 (M, D).
        labels: int64 (M,), ascending.
        classes: how many classes there are; some may have no image.
        data: the data set they come from.
        split: and its split.
        indices: which images of it, in words: `all`, or a range such as `0-1999`.
        checksum: of the images and labels themselves.
    """

    embeddings: torch.Tensor
    labels: torch.Tensor
    classes: int
    data: str
    split: str
    indices: str
    checksum: str

    def title(self) -> str:
        """Return the name of the bank: data set, split and indices."""
        return f"{self.data} {self.split} {self.indices}"

    def sizes(self) -> list[int]:
        """Return how many images each class has."""
        sizes: list[int] = torch.bincount(self.labels, minlength=self.classes).tolist()
        return sizes


class Stored(nn.Module):
    """A bank made ready for one distance; a module, so that it moves with those that hold it.

    Attributes:
        unit: how far apart two stored images usually are, so that similarities of any distance are
            of about the same size; 1 where the distance is bounded.
    """

    labels: torch.Tensor
    ready: torch.Tensor
    keys: torch.Tensor

    def __init__(self, bank: Bank, distance: Distance) -> None:
        super().__init__()
        self.bank, self.distance = bank, distance
        self.sizes = bank.sizes()
        ready = distance.ready(bank.embeddings)
        self.register_buffer("labels", bank.labels, persistent=False)
        self.register_buffer("ready", ready, persistent=False)
        self.register_buffer("keys", distance.keys(ready), persistent=False)
        self.unit = 1.0 if distance.bounded else _usual(bank.embeddings, ready, distance)

    def nearest(self, embeddings: torch.Tensor, count: int) -> tuple[torch.Tensor, ...]:
        """Return for each class where its nearest stored images are, (N, min(count, M_c)) each.

        The search is exact; it takes no gradient.

        Args:
            embeddings: (N, D).
            count: how many of each class, at most.
        """
        with torch.no_grad():
            parts, start = [], 0
            # Class by class, the similarities stay in the processor's cache.
            for keys in torch.split(self.keys, self.sizes, dim=1):
                parts.append(start + _largest(self.distance.ranks(embeddings, keys), count))
                start += keys.shape[1]
        return tuple(parts)

    def similarity(self, embeddings: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Return how near embeddings (N, D) are to stored images (N, L), in units: (N, L)."""
        return self.distance.similarity(embeddings, F.embedding(indices, self.ready)) / self.unit


def _largest(values: torch.Tensor, count: int) -> torch.Tensor:
    """Return where the largest values of each row are, (N, min(count, M)), in no order.

    Of M / 8 columns of 8, the `count` with the largest maxima hold the `count` largest values.
    """
    columns = values.shape[1] // _LAYERS
    if columns <= count:
        return values.topk(min(count, values.shape[1]), sorted=False).indices
    whole = columns * _LAYERS
    maxima = values[:, :whole].view(len(values), _LAYERS, columns).amax(1)
    chosen = maxima.topk(count, sorted=False).indices
    layers = torch.arange(0, whole, columns, device=values.device)
    members = (chosen.unsqueeze(1) + layers.unsqueeze(1)).flatten(1)
    if whole < values.shape[1]:
        rest = torch.arange(whole, values.shape[1], device=values.device)
        members = torch.cat([members, rest.expand(len(values), -1)], dim=1)
    best = values.gather(1, members).topk(count, sorted=False).indices
    return members.gather(1, best)


def _usual(embeddings: torch.Tensor, ready: torch.Tensor, distance: Distance) -> float:
    """Return the median size of the similarities of some stored images with each other."""
    some = torch.arange(0, len(embeddings), max(1, len(embeddings) // _SAMPLE))
    pairs = distance.similarity(embeddings[some], ready[some].expand(len(some), -1, -1))
    size = float(pairs.abs().median())
    return size if 0 < size < float("inf") else 1.0

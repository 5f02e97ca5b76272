"""Embedded training images, and the exact search for the nearest ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional as F

from bench.adapters.distances import Distance

#: Similarities are searched in this many layers: first the maximum of each column over the layers.
_LAYERS = 8
#: How many embeddings are searched for at a time, which bounds the memory needed.
_TOGETHER = 128
#: Fills places without a stored image; lower than any similarity.
ABSENT = -1e6
#: How many stored images the usual distance is measured on.
_SAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceSet:
    """Embedded training images, sorted by class.

    Attributes:
        embeddings: float32 (M, D).
        labels: int64 (M,), ascending.
        classes: number of classes; some may have no image.
        data: the data set of the images.
        split: their split.
        indices: which images of the split, as text: `all`, or a range such as `0-1999`.
        checksum: of the images and labels.
    """

    embeddings: torch.Tensor
    labels: torch.Tensor
    classes: int
    data: str
    split: str
    indices: str
    checksum: str

    def title(self) -> str:
        """Return the name of the set: data set, split and indices."""
        return f"{self.data} {self.split} {self.indices}"

    def sizes(self) -> list[int]:
        """Return how many images each class has."""
        sizes: list[int] = torch.bincount(self.labels, minlength=self.classes).tolist()
        return sizes


class KnnIndex(nn.Module):
    """A reference set prepared for one distance; a module, so that it moves with the model.

    Attributes:
        unit: how far apart two stored images usually are; 1 for a bounded distance. Similarities are
            measured in it, so they have about the same size for any distance, and a loss over them
            does not saturate.
    """

    ready: torch.Tensor
    keys: torch.Tensor

    def __init__(self, reference_set: ReferenceSet, distance: Distance) -> None:
        super().__init__()
        self.reference_set, self.distance = reference_set, distance
        self.sizes = reference_set.sizes()
        ready = distance.ready(reference_set.embeddings)
        widest = _LAYERS * -(-max(self.sizes) // _LAYERS)
        # All classes are padded to one width, so that one product covers them, in the order it reads.
        keys = torch.stack(
            [F.pad(part, (0, widest - part.shape[1]))
             for part in torch.split(distance.keys(ready), self.sizes, dim=1)]
        )  # fmt: skip
        self.register_buffer("ready", ready, persistent=False)
        self.register_buffer("keys", keys, persistent=False)
        self.unit = 1.0 if distance.bounded else _usual(reference_set.embeddings, ready, distance)

    def nearest(self, embeddings: torch.Tensor, count: int) -> torch.Tensor:
        """Return the positions of the nearest stored images of each class, nearest first: (N, C, L).

        L is `count`, or the size of the largest class if that is smaller. A class with fewer than L
        images is padded with -1. The search is exact and has no gradient.

        Args:
            embeddings: (N, D).
            count: at most this many images of each class.
        """
        with torch.no_grad():
            parts = [self._nearest(some, count) for some in torch.split(embeddings, _TOGETHER)]
            return torch.cat(parts)

    def _nearest(self, embeddings: torch.Tensor, count: int) -> torch.Tensor:
        classes, _, width = self.keys.shape
        values = _room(classes, len(embeddings), width, embeddings.dtype, embeddings.device)
        self.distance.ranks(embeddings, self.keys, values)
        for of_class, size in zip(values, self.sizes, strict=True):
            if size < width:
                of_class[:, size:] = -torch.inf
        places = _largest(values, min(count, max(self.sizes))).transpose(0, 1)
        sizes = torch.tensor(self.sizes, device=places.device).unsqueeze(1)
        empty = torch.arange(places.shape[2], device=places.device) >= sizes
        return (places + (sizes.cumsum(0) - sizes)).masked_fill(empty, -1)

    def similarity(self, embeddings: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return the similarities of embeddings (N, D) to the stored images at places (N, C, L).

        Returns:
            (N, C, L), in units of `unit`; `ABSENT` where the place is -1.
        """
        chosen = F.embedding(places.clamp(min=0).flatten(1), self.ready)
        near = self.distance.similarity(embeddings, chosen) / self.unit
        return near.view(places.shape).masked_fill(places < 0, ABSENT)


# Allocating this much memory at each search can take as long as the product, so it is kept.
@lru_cache(maxsize=1)
def _room(
    classes: int, images: int, width: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    # A tensor made in inference mode could not be written to outside of it.
    with torch.inference_mode(False):
        return torch.empty(classes, images, width, dtype=dtype, device=device)


def _largest(values: torch.Tensor, count: int) -> torch.Tensor:
    """Return the positions of the largest values along the last dimension M, largest first: (..., count).

    The values form M / 8 columns of 8. The `count` columns with the largest maxima contain the `count`
    largest values, so only these are sorted.
    """
    layers = values.view(*values.shape[:-1], _LAYERS, -1)
    columns = layers.shape[-1]
    if columns <= count:
        return values.topk(count).indices
    chosen = layers.amax(-2).topk(count, sorted=False).indices
    starts = torch.arange(0, values.shape[-1], columns, device=values.device)
    members = (chosen.unsqueeze(-2) + starts.unsqueeze(-1)).flatten(-2)
    best = values.gather(-1, members).topk(count).indices
    return members.gather(-1, best)


def _usual(embeddings: torch.Tensor, ready: torch.Tensor, distance: Distance) -> float:
    """Return the median absolute similarity between some stored images."""
    some = torch.arange(0, len(embeddings), max(1, len(embeddings) // _SAMPLE))
    pairs = distance.similarity(embeddings[some], ready[some].expand(len(some), -1, -1))
    size = float(pairs.abs().median())
    return size if 0 < size < float("inf") else 1.0

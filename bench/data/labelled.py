"""Labelled images: held in memory, or read from where they lie when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import torch

from bench.data.squares import read_square

#: Which images: a slice of places, or places (N,).
Rows: TypeAlias = slice | torch.Tensor


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images in their stored form, and their labels.

    Attributes:
        raw: uint8 (N, C, H, W); or float32, where images are stored in [0, 1].
        labels: int64 (N,).
        top: the value of `raw` that means 1.0.
    """

    raw: torch.Tensor
    labels: torch.Tensor
    top: int = 255

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> torch.Tensor:
        """Return all images, float32 (N, C, H, W) in [0, 1]."""
        return self.batch(slice(None))

    def batch(self, rows: Rows) -> torch.Tensor:
        """Return some of the images, float32 (N, C, H, W) in [0, 1]."""
        return self.pixels(rows).float() / self.top

    def pixels(self, rows: Rows) -> torch.Tensor:
        """Return some of the images in their stored form, (N, C, H, W)."""
        return self.raw[rows]

    def shape(self) -> tuple[int, ...]:
        """Return the shape of an image, (C, H, W)."""
        return tuple(self.pixels(slice(0, 1)).shape[1:])

    def first(self, count: int | None) -> LabelledImages:
        """Return the first `count` images in their order; all of them for None."""
        return LabelledImages(self.raw[:count], self.labels[:count], self.top)

    def picked(self, places: torch.Tensor) -> LabelledImages:
        """Return the images at some places (N,), in that order."""
        return LabelledImages(self.raw[places], self.labels[places], self.top)

    def on(self, device: torch.device) -> LabelledImages:
        """Return the same images, held on a device where they are held in memory."""
        return LabelledImages(self.raw.to(device), self.labels.to(device), self.top)

    def checksum(self) -> str:
        """Return a text that changes with any pixel or label."""
        digest = hashlib.sha256(f"{tuple(self.raw.shape)} {self.top}".encode())
        digest.update(self.raw.contiguous().numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()[:16]


class Stored(Protocol):
    """Images where they lie, each known by its place there."""

    @property
    def title(self) -> str:
        """What these images are and how they are read, in a few words, for their checksum."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image, (C, H, W)."""
        ...

    def read(self, place: int) -> torch.Tensor:
        """Return an image, uint8 (C, H, W).

        Raises:
            PrerequisiteError: it cannot be read any more.
        """
        ...

    def content(self, place: int) -> bytes:
        """Return what an image is made from, such as the bytes of its file."""
        ...


class LabelledLater(LabelledImages):
    """Images that stay where they lie until they are asked for, so that any number fits."""

    __slots__ = ("places", "stored")

    stored: Stored
    places: Sequence[int]

    def __init__(
        self, stored: Stored, labels: torch.Tensor, places: Sequence[int] | None = None
    ) -> None:
        """Keep where the images lie.

        Args:
            stored: the images.
            labels: int64 (N,).
            places: of each image among those stored; None for all of them in their order.
        """
        places = range(len(labels)) if places is None else places
        for name, value in (
            ("stored", stored), ("labels", labels), ("places", places), ("top", 255),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    @property
    def raw(self) -> torch.Tensor:
        """Return all images, uint8 (N, C, H, W): everything is read."""
        return self.pixels(slice(None))

    def pixels(self, rows: Rows) -> torch.Tensor:
        """Return some of the images, read now, uint8 (N, C, H, W).

        Raises:
            PrerequisiteError: one cannot be read any more.
        """
        chosen = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        read = [self.stored.read(self.places[one]) for one in chosen]
        device = torch.device("cpu") if isinstance(rows, slice) else rows.device
        empty = torch.empty(0, *self.stored.shape, dtype=torch.uint8)
        return (torch.stack(read) if read else empty).to(device)

    def shape(self) -> tuple[int, ...]:
        """Return the shape of an image, (C, H, W)."""
        return self.stored.shape

    def first(self, count: int | None) -> LabelledLater:
        """Return the first `count` images; all of them for None."""
        return LabelledLater(self.stored, self.labels[:count], self.places[:count])

    def picked(self, places: torch.Tensor) -> LabelledLater:
        """Return the images at some places (N,), in that order."""
        there = [self.places[one] for one in places.tolist()]
        return LabelledLater(self.stored, self.labels[places], there)

    def on(self, device: torch.device) -> LabelledLater:
        """Return the same images, with their labels on a device."""
        return LabelledLater(self.stored, self.labels.to(device), self.places)

    def checksum(self) -> str:
        """Return a text that changes with what any image is made from, how it is read, or a label."""
        kind, _, how = self.stored.title.partition(" ")
        digest = hashlib.sha256(f"{kind} {len(self)} {how}".encode())
        for place in self.places:
            digest.update(hashlib.sha256(self.stored.content(place)).digest())
        digest.update(self.labels.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SquareFiles:
    """Files of photographs, read as squares, see `bench.data.squares.read_square`.

    Attributes:
        files: of the photographs.
        side: of the square images, in pixels.
    """

    files: Sequence[Path]
    side: int

    @property
    def title(self) -> str:
        return f"files {self.side}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, self.side, self.side)

    def read(self, place: int) -> torch.Tensor:
        return read_square(self.files[place], self.side)

    def content(self, place: int) -> bytes:
        return self.files[place].read_bytes()

"""Labelled images: held in memory, or read from their files when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from bench.data.squares import read_square

#: Which images: a slice of places, or places (N,).
Rows: TypeAlias = slice | torch.Tensor


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images in their stored form, and their labels.

    Attributes:
        raw: uint8 (N, C, H, W).
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
        """Return some of the images in their stored form, uint8 (N, C, H, W)."""
        return self.raw[rows]

    def shape(self) -> tuple[int, ...]:
        """Return the shape of an image, (C, H, W)."""
        return tuple(self.pixels(slice(0, 1)).shape[1:])

    def first(self, count: int | None) -> LabelledImages:
        """Return the first `count` images in file order; all of them for None."""
        return LabelledImages(self.raw[:count], self.labels[:count], self.top)

    def on(self, device: torch.device) -> LabelledImages:
        """Return the same images, held on a device where they are held in memory."""
        return LabelledImages(self.raw.to(device), self.labels.to(device), self.top)

    def checksum(self) -> str:
        """Return a text that changes with any pixel or label."""
        digest = hashlib.sha256(f"{tuple(self.raw.shape)} {self.top}".encode())
        digest.update(self.raw.contiguous().numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()[:16]


class LabelledFiles(LabelledImages):
    """Colour photographs that stay in their files until they are asked for, so that any number fits."""

    __slots__ = ("files", "side")

    files: Sequence[Path]
    side: int

    def __init__(self, files: Sequence[Path], labels: torch.Tensor, side: int) -> None:
        """Keep the names of the files.

        Args:
            files: of the photographs.
            labels: int64 (N,).
            side: of the square images, in pixels; see `bench.data.squares.read_square`.
        """
        for name, value in (("files", files), ("labels", labels), ("side", side), ("top", 255)):
            object.__setattr__(self, name, value)

    @property
    def raw(self) -> torch.Tensor:
        """Return all images, uint8 (N, 3, side, side): everything is read."""
        return self.pixels(slice(None))

    def pixels(self, rows: Rows) -> torch.Tensor:
        """Return some of the images, read from their files now, uint8 (N, 3, side, side).

        Raises:
            PrerequisiteError: a file cannot be read any more.
        """
        places = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        read = [read_square(self.files[place], self.side) for place in places]
        device = torch.device("cpu") if isinstance(rows, slice) else rows.device
        empty = torch.empty(0, 3, self.side, self.side, dtype=torch.uint8)
        return (torch.stack(read) if read else empty).to(device)

    def shape(self) -> tuple[int, ...]:
        """Return the shape of an image, (C, H, W)."""
        return tuple(self.pixels(slice(0, 1)).shape[1:])

    def first(self, count: int | None) -> LabelledFiles:
        """Return the first `count` images; all of them for None."""
        return LabelledFiles(self.files[:count], self.labels[:count], self.side)

    def on(self, device: torch.device) -> LabelledFiles:
        """Return the same files, with their labels on a device."""
        return LabelledFiles(self.files, self.labels.to(device), self.side)

    def checksum(self) -> str:
        """Return a text that changes with any file, with a label or with the size of the images."""
        digest = hashlib.sha256(f"files {len(self)} {self.side}".encode())
        for file in self.files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        digest.update(self.labels.cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

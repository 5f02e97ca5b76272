"""The layouts in which adversarial images are handed on, as the field's programs read them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.data.handed_in_files import MANIFEST
from bench.errors import SpecError


@dataclass(frozen=True, slots=True, eq=False)
class ImagesOut:
    """Adversarial images to be handed on.

    Attributes:
        x_adv: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,), the true ones.
        places: int64 (N,), of each in its split, ascending.
        facts: of each image, for a manifest: lists of N, by name.
    """

    x_adv: torch.Tensor
    labels: torch.Tensor
    places: torch.Tensor
    facts: Mapping[str, list[Any]]


def write_images(images: ImagesOut, layout: str) -> dict[str, bytes]:
    """Return the content of each file of some images in a layout, by how the file's name ends.

    Args:
        images: what is written.
        layout: one of `LAYOUTS`.

    Raises:
        SpecError: the layout cannot hold these images.
    """
    if layout in _WITHOUT_PLACES and images.places.tolist() != list(range(len(images.places))):
        raise SpecError(
            f"--format {layout} has no place for which images of the split these are, and they are not the first "
            f"{len(images.places)}; write npz, pt or png"
        )
    return _WRITERS[layout](images)


def _npz(images: ImagesOut) -> dict[str, bytes]:
    file = io.BytesIO()
    np.savez(file, x_adv=images.x_adv.numpy(), y=images.labels.numpy(), index=images.places.numpy())
    return {".npz": file.getvalue()}


def _pt(images: ImagesOut) -> dict[str, bytes]:
    return _saved({"x_adv": images.x_adv, "y": images.labels, "index": images.places})


def _torchattacks(images: ImagesOut) -> dict[str, bytes]:
    return _saved({"adv_inputs": images.x_adv, "labels": images.labels, "save_type": "float"})


def _madry(images: ImagesOut) -> dict[str, bytes]:
    """Return what the challenges on MNIST (N, 784 in [0, 1]) and CIFAR-10 (N, H, W, C from 0 to 255) take."""
    x = images.x_adv
    grey = x.shape[1] == 1
    array = x.flatten(1) if grey else x.permute(0, 2, 3, 1).contiguous() * 255
    file = io.BytesIO()
    np.save(file, array.numpy(), allow_pickle=False)
    return {".npy": file.getvalue()}


def _png(images: ImagesOut) -> dict[str, bytes]:
    channels = images.x_adv.shape[1]
    if channels not in (1, 3):
        raise SpecError(f"--format png: a picture has 1 channel or 3, these images have {channels}")
    names = [f"{place:05d}.png" for place in images.places.tolist()]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "index", "label", *images.facts])
    writer.writerows(
        zip(
            names,
            images.places.tolist(),
            images.labels.tolist(),
            *images.facts.values(),
            strict=True,
        )
    )
    pixels = (images.x_adv * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    written = {}
    for name, picture in zip(names, pixels, strict=True):
        file = io.BytesIO()
        Image.fromarray(picture[..., 0] if channels == 1 else picture).save(file, "PNG")
        written[f"/{name}"] = file.getvalue()
    return written | {f"/{MANIFEST}": table.getvalue().encode()}


def _saved(content: Any) -> dict[str, bytes]:
    file = io.BytesIO()
    torch.save(content, file)
    return {".pt": file.getvalue()}


_WRITERS: Mapping[str, Callable[[ImagesOut], dict[str, bytes]]] = {
    "npz": _npz,
    "pt": _pt,
    "png": _png,
    "robustbench": lambda images: _saved(images.x_adv),
    "autoattack": lambda images: _saved({"adv_complete": images.x_adv}),
    "torchattacks": _torchattacks,
    "madry": _madry,
}
_WITHOUT_PLACES = ("robustbench", "autoattack", "torchattacks", "madry")

"""Images that others made, read from their files: `.pt`, `.npz`, `.npy`, and folders of PNG with a manifest.

Nothing is unpickled: `torch.load` reads weights only, `numpy.load` no objects.
"""

from __future__ import annotations

import csv
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from bench.errors import SpecError

#: The names under which the parts of such a file are known, the usual ones first: ours, those of AutoAttack
#: (`adv_complete`), of torchattacks (`adv_inputs`), and what people write.
_IMAGES = ("x_adv", "adv_complete", "adv_inputs", "adv_images", "adv", "images", "x", "arr_0")
_LABELS = ("y", "labels", "label", "y_test")
_PLACES = ("index", "indices", "idx")

#: The list of the images in a folder: `file`, `index` (place in the split) and, where it is known, `label`.
MANIFEST = "manifest.csv"

_ENDINGS = ".pt, .pth, .npz, .npy, or a folder of PNG with a manifest.csv"


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """What a file of images holds, as it holds it.

    Attributes:
        images: of any type and shape, one after the other along the first axis.
        labels: int64 (N,), if the file has them.
        places: int64 (N,), the place of each image in its split, from 0, if the file has them.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None
    places: torch.Tensor | None = None


def read_images(path: Path) -> ImageFile:
    """Return the images in a file or folder.

    Raises:
        SpecError: there is no such file, it is of another kind or damaged, holds objects that would have to be
            unpickled, or does not say which of its arrays are the images.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise SpecError(f"{path}: no such file; give one that ends in {_ENDINGS}")
    ending = path.suffix.lower()
    if ending in (".pt", ".pth"):
        return _torch_file(path)
    if ending in (".npz", ".npy"):
        return _numpy_file(path)
    raise SpecError(f"{path}: images are read from {_ENDINGS}")


def _torch_file(path: Path) -> ImageFile:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SpecError(
            f"{path} is no file of torch.save, or holds other objects than tensors, and none is unpickled; save "
            f"the images alone: torch.save(x_adv.cpu(), FILE)"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # of a file that is none, torch.load says so in many ways
        raise SpecError(f"{path} cannot be read: {_in_short(error)}") from error
    if isinstance(content, torch.Tensor):
        return ImageFile(content)
    if isinstance(content, Mapping):
        return _chosen(path, content)
    if isinstance(content, list | tuple) and all(
        isinstance(part, torch.Tensor) for part in content
    ):
        if len(content) == 2 and content[1].ndim == 1 and len(content[1]) == len(content[0]):
            return ImageFile(content[0], _whole(path, "labels", content[1]))
        if content and all(part.shape[1:] == content[0].shape[1:] for part in content):
            return ImageFile(torch.cat(list(content)))
    raise SpecError(f"{path}: a {type(content).__name__} without images; save one tensor of them")


def _numpy_file(path: Path) -> ImageFile:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return ImageFile(_tensor(path, content))
        with content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SpecError(
            f"{path} cannot be read without unpickling, which is not done: {_in_short(error)}; save plain "
            f"numbers with numpy.savez(FILE, x_adv=..., y=..., index=...)"
        ) from error
    return _chosen(path, {name: _tensor(path, array) for name, array in arrays.items()})


def _chosen(path: Path, content: Mapping[Any, Any]) -> ImageFile:
    """Return the parts of a file that names them."""
    arrays = {str(name): part for name, part in content.items() if isinstance(part, torch.Tensor)}
    wide = [name for name, part in arrays.items() if part.ndim > 1]
    named = next((name for name in _IMAGES if name in wide), None)
    if named is None:
        if len(wide) != 1:
            held = ", ".join(sorted(arrays)) or "no arrays"
            raise SpecError(
                f"{path} holds {held}: it does not say which are the images; save these as {_IMAGES[0]}"
            )
        (named,) = wide

    def whole(names: tuple[str, ...]) -> torch.Tensor | None:
        found = next((name for name in names if name in arrays and name != named), None)
        return None if found is None else _whole(path, found, arrays[found])

    return ImageFile(arrays[named], whole(_LABELS), whole(_PLACES))


def _whole(path: Path, name: str, part: torch.Tensor) -> torch.Tensor:
    """Return labels or places as int64 (N,)."""
    if part.ndim != 1 or part.is_floating_point() or part.is_complex():
        raise SpecError(
            f"{path}: {name}: {part.dtype} of shape {tuple(part.shape)}; give one whole number an image"
        )
    return part.long()


def _tensor(path: Path, array: np.ndarray[Any, Any]) -> torch.Tensor:
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{path}: an array of {array.dtype} holds no images; save numbers")
    plain = array.astype(array.dtype.newbyteorder("="), copy=False)
    if plain.dtype.itemsize > 1 and plain.dtype.kind == "u":
        plain = plain.astype(np.int64)  # torch computes with no other unsigned numbers than uint8
    return torch.from_numpy(np.ascontiguousarray(plain))


def _folder(path: Path) -> ImageFile:
    manifest = path / MANIFEST
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise SpecError(
            f"{path}: no {MANIFEST} that can be read; put one there with the columns file, index and label, a "
            f"line an image"
        ) from error
    if not rows or not {"file", "index"} <= rows[0].keys():
        raise SpecError(
            f"{manifest}: it needs the columns file and index, and a line for each image"
        )
    labelled = "label" in rows[0]
    try:
        places = torch.tensor([int(row["index"]) for row in rows])
        labels = torch.tensor([int(row["label"]) for row in rows]) if labelled else None
    except (TypeError, ValueError) as error:
        raise SpecError(f"{manifest}: index and label are whole numbers ({error})") from error
    pixels = [_picture(path, str(row["file"])) for row in rows]
    if len({picture.shape for picture in pixels}) != 1:
        raise SpecError(f"{path}: its pictures differ in size or in the number of their channels")
    return ImageFile(torch.stack(pixels), labels, places)


def _picture(folder: Path, name: str) -> torch.Tensor:
    """Return a picture of 8 bits a channel, uint8 (H, W) or (H, W, 3)."""
    if Path(name).name != name:
        raise SpecError(f"{folder / MANIFEST}: {name}: name files that lie in the folder itself")
    path = folder / name
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            pixels = np.array(picture)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise SpecError(f"{path} cannot be read: {_in_short(error)}") from error
    if mode not in ("L", "RGB"):
        raise SpecError(
            f"{path}: a picture in the mode {mode}; save it in grey or colour of 8 bits a channel"
        )
    return torch.from_numpy(pixels)


def _in_short(error: Exception) -> str:
    return (
        str(getattr(error, "strerror", None) or error).strip().partition("\n")[0]
        or type(error).__name__
    )

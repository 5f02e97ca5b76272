"""Photographs as a data set: those of a user's folder, else the 20 that come with Foolbox."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from bench.data.table import Dataset
from bench.errors import PrerequisiteError, SpecError

_ENDINGS = (".jpg", ".jpeg", ".png")

#: How long the shorter side is before the square in the middle is cut out, as a share of the square's side.
_SHORTER_SIDE = 256 / 224


def photographs(own: Path, data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Return photographs, uint8 (N, C, H, W) with 255 for white, and their labels, int64 (N,), by file name.

    A photograph is shown upright, scaled (bicubic) until its shorter side is 256/224 of the data set's, and
    the square in its middle is cut out.

    Args:
        own: the folder of the user's photographs, `*_LABEL.jpg`, `.jpeg` or `.png`; where there is none,
            those that come with Foolbox are read.
        data: the data set, with the size of its images and its classes.

    Raises:
        SpecError: the folder holds no photograph, or one without a label in its name.
        PrerequisiteError: a photograph cannot be read, or Foolbox has none.
    """
    labels = labelled_files(own, data)
    images = [read_photograph(file, data.input_shape[-1]) for file in labels]
    return torch.stack(images), torch.tensor(list(labels.values()))


def labelled_files(own: Path, data: Dataset) -> dict[Path, int]:
    """Return the files of the photographs, in the order of their names, and the label of each.

    Raises:
        SpecError: the folder holds no photograph, or one without a label in its name.
        PrerequisiteError: Foolbox has none.
    """
    files = _own(own) if own.is_dir() else _of_foolbox()
    return {file: _label(file, len(data.classes)) for file in files}


def _own(folder: Path) -> list[Path]:
    files = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in _ENDINGS and not file.is_dir()
    )
    if not files:
        raise SpecError(
            f"{folder} holds no photograph; put files named *_LABEL.jpg or *_LABEL.png there, or remove "
            f"the folder to have those that come with Foolbox"
        )
    return files


def _of_foolbox() -> list[Path]:
    """Return the files of the photographs that come with Foolbox, which is not imported for that."""
    spec = importlib.util.find_spec("foolbox")
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    files = sorted(file for folder in folders for file in Path(folder).glob("data/imagenet_*.jpg"))
    if not files:
        raise PrerequisiteError(
            "natural: there are no photographs of Foolbox; run: pip install --force-reinstall --no-deps "
            "foolbox==3.3.4"
        )
    return files


def _label(file: Path, classes: int) -> int:
    found = re.search(r"_(\d+)$", file.stem)
    if found is None or int(found[1]) >= classes:
        raise SpecError(
            f"{file}: its name has no label; call it *_LABEL{file.suffix}, with LABEL from 0 to {classes - 1}"
        )
    return int(found[1])


def read_photograph(
    file: Path, side: int, how: Image.Resampling = Image.Resampling.BICUBIC
) -> torch.Tensor:
    """Return the middle of a photograph, scaled as in `photographs`, uint8 (3, side, side).

    Args:
        file: of the photograph.
        side: of the square, in pixels.
        how: it is scaled.

    Raises:
        PrerequisiteError: it cannot be read.
    """
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PrerequisiteError(
            f"{file} cannot be read as an image ({error}); copy it here again, or remove it"
        ) from error
    shorter = round(_SHORTER_SIDE * side)
    scale = shorter / min(image.size)
    width, height = (max(shorter, int(scale * length)) for length in image.size)
    image = image.resize((width, height), how)
    left, upper = round((width - side) / 2), round((height - side) / 2)
    image = image.crop((left, upper, left + side, upper + side))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()

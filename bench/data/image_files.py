"""Single images for a model: picture files, and images of its data set by their place."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.data.datasets import load
from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.spec import ModelSpec

#: `test:7`, an image of the model's data set; a file of that name is written `./test:7`.
_PLACE = re.compile(r"([A-Za-z]\w*):([0-9]{1,9})", re.ASCII)

_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleImage:
    """An image as a model takes it, and where it is from.

    Attributes:
        name: as the user gave it.
        x: float32 (C, H, W) in [0, 1].
        label: its true class; None for a file, which tells of none.
        made_from: size of the file's picture where it had to be scaled or cut (`640x480`), and whether it was
            in colour or in grey where that changed (`640x480, colour`); None for an image as it was.
    """

    name: str
    x: torch.Tensor
    label: int | None = None
    made_from: str | None = None


def read_single(
    name: str, model: ModelSpec, root: str | os.PathLike[str] | None = None
) -> SingleImage:
    """Return an image by its file, or by its place in the model's data set (`test:7`), for a model.

    A picture of another size is scaled until it covers the model's image, smoothly (bicubic, averaging where
    it shrinks), and its middle is kept. A picture in colour becomes grey for a model of one channel, a grey
    one the same in all three channels. It is turned as its camera says, and what is transparent is white.

    Args:
        name: of a file, or split and index.
        model: what the image is for.
        root: the folder of data sets; None for the usual one.

    Raises:
        SpecError: no such file, split or index; a file that is no picture; or a model that does not take
            pictures of one or three channels.
        PrerequisiteError: the data set is missing.
    """
    if model.input_shape[0] not in (1, 3):
        raise SpecError(
            f"{model.name} takes images of {model.input_shape[0]} channels; a picture has 1 (grey) or 3 "
            f"(colour)"
        )
    place = _PLACE.fullmatch(name)
    if place is not None:
        return _of_data_set(name, model, place[1], int(place[2]), root)
    picture = _opened(Path(name))
    return SingleImage(
        name=name, x=_fitted(picture, model), made_from=_difference(picture, model.input_shape)
    )


def _of_data_set(
    name: str, model: ModelSpec, split: str, index: int, root: str | os.PathLike[str] | None
) -> SingleImage:
    if model.data not in DATASETS:
        raise SpecError(f"{name}: {model.name} is of no data set; name a file")
    images = load(model.data, split, root)
    if index >= len(images):
        raise SpecError(
            f"{name}: {model.data} has {len(images)} {split} images, 0 to {len(images) - 1}"
        )
    raw, label = images.pixels(slice(index, index + 1))[0], int(images.labels[index])
    if tuple(raw.shape) == tuple(model.input_shape):
        return SingleImage(name=name, x=raw.float() / images.top, label=label)
    in_8_bits = (raw.double() * 255 / images.top).round().to(torch.uint8).numpy()
    picture = Image.fromarray(in_8_bits[0] if len(in_8_bits) == 1 else in_8_bits.transpose(1, 2, 0))
    return SingleImage(
        name=name,
        x=_fitted(picture, model),
        label=label,
        made_from=_difference(picture, model.input_shape),
    )


def _opened(path: Path) -> Image.Image:
    """Return the picture in a file, in grey (`L`) or in colour (`RGB`) of 8 bits."""
    if path.is_dir():
        raise SpecError(f"{path} is a folder; name the pictures in it")
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise SpecError(f"{path} is no file on a disk; save the picture in one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                file.load()
                return _in_8_bits(ImageOps.exif_transpose(file), path)
    except FileNotFoundError:
        raise SpecError(
            f"{path}: no such file; name a picture, or an image of the model's data set such as test:7"
        ) from None
    except UnidentifiedImageError:
        raise SpecError(f"{path} is no picture that can be read, such as PNG or JPEG") from None
    except Image.DecompressionBombError:
        raise SpecError(f"{path} is too large to be read; make it smaller first") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what decoders raise on damage
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SpecError(f"{path} cannot be read: {reason}") from error


def _in_8_bits(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode in _GREY_16:
        levels = np.asarray(picture).astype(np.float64) * (255 / 65535)
        return Image.fromarray(np.rint(levels).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise SpecError(
            f"{path}: it is not known which value of its pixels is white (mode {picture.mode}); save it with "
            f"8 bits a channel"
        )
    if "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info:
        shown = picture.convert("RGBA")
        white = Image.new("RGBA", shown.size, "white")
        grey = picture.mode in ("L", "LA", "La", "1")
        return Image.alpha_composite(white, shown).convert("L" if grey else "RGB")
    return picture.convert("L" if picture.mode in ("L", "1") else "RGB")


def _fitted(picture: Image.Image, model: ModelSpec) -> torch.Tensor:
    """Return a picture in a model's channels and size, float32 (C, H, W) in [0, 1]."""
    channels, height, width = model.input_shape
    changed = picture.convert("L" if channels == 1 else "RGB")
    if changed.size != (width, height):
        changed = ImageOps.fit(changed, (width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(changed)).float() / 255
    return pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1).contiguous()


def _difference(picture: Image.Image, shape: tuple[int, int, int]) -> str | None:
    """Return how a picture differs from the image that a model takes, as in `SingleImage.made_from`."""
    channels, height, width = shape
    size = f"{picture.width}x{picture.height}"
    if picture.mode != ("L" if channels == 1 else "RGB"):
        return f"{size}, {'colour' if channels == 1 else 'grey'}"
    return None if picture.size == (width, height) else size

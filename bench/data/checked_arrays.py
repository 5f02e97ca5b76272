"""Images and labels that somebody else made, as `LabelledImages`; what does not fit is said in one line."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.data.labelled import LabelledImages
from bench.data.scales import DIVIDED, top_of
from bench.errors import SpecError

_log = logging.getLogger(__name__)

#: How far values may lie outside [0, 1], as rounding leaves them; they are clipped.
_ROUNDING = 1e-6

#: The numbers of channels that images have.
_CHANNELS = (1, 3)


def labelled(name: str, images: Any, labels: Any, classes: int) -> LabelledImages:
    """Return images and labels after checking them.

    Args:
        name: of the data set, for errors.
        images: uint8 with 255 for white, or float in [0, 1] (or from 0 to 255, which is told); (N, C, H, W), or (N, H, W, C) with 1 or 3
            channels, or (N, H, W) in grey. A tensor or an array.
        labels: integers (N,), from 0 to below `classes`.
        classes: how many classes there are.

    Raises:
        SpecError: another type, layout or range, or labels that do not fit.
    """
    pixels, numbers = _as_array(images), _as_array(labels)
    check_layout(name, pixels.dtype, pixels.shape)
    check_labels(name, numbers, len(pixels), classes)
    top = _top(name, pixels)
    if pixels.dtype != np.uint8:
        pixels, top = _in_range(name, pixels / top if top != 1 else pixels), 1
    raw = torch.tensor(np.ascontiguousarray(_channels_first(pixels)))
    return LabelledImages(raw, torch.tensor(numbers.astype(np.int64)), top)


def check_layout(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of the images of an array.

    Raises:
        SpecError: the array cannot hold images.
    """
    if dtype != np.uint8 and dtype.kind != "f":
        raise SpecError(
            f"{name}: images of type {dtype}; give uint8 with 255 for white, or floats in [0, 1]"
        )
    if len(shape) == 3:
        return (1, shape[1], shape[2])
    if len(shape) == 4 and shape[1] in _CHANNELS:
        return (shape[1], shape[2], shape[3])
    if len(shape) == 4 and shape[3] in _CHANNELS:
        return (shape[3], shape[1], shape[2])
    raise SpecError(
        f"{name}: images of shape {shape}; give (N, C, H, W) or (N, H, W, C) with 1 or 3 channels, or (N, H, W) in grey"
    )


def check_labels(name: str, labels: NDArray[Any], images: int, classes: int | None) -> None:
    """Raise a SpecError unless there is a whole number of a class for each image.

    Args:
        name: of the data set.
        labels: as given.
        images: how many there are.
        classes: how many there are; None if not known.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        help_ = "; take the argmax of one-hot labels" if labels.ndim == 2 else ""
        raise SpecError(
            f"{name}: labels are {labels.dtype} {labels.shape}; give whole numbers (N,){help_}"
        )
    if len(labels) != images:
        raise SpecError(f"{name}: {images} images and {len(labels)} labels; give one for each")
    if not len(labels):
        raise SpecError(f"{name}: no images")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= classes):
        most = "" if classes is None else f" to {classes - 1}"
        raise SpecError(f"{name}: labels run from {low} to {high}; classes are 0{most}")


def _as_array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _channels_first(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 3:
        return pixels[:, None]
    return pixels if pixels.shape[1] in _CHANNELS else pixels.transpose(0, 3, 1, 2)


def _top(name: str, pixels: NDArray[Any]) -> int:
    """Return which value stands for 1; floats of 0 to 255 are told of, and read all the same."""
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise SpecError(f"{name}: values of images are not finite; leave such images out")
    top = top_of(name, low, high, whole=pixels.dtype == np.uint8)
    if top != 1 and pixels.dtype != np.uint8:
        _log.warning("%s: %s", name, DIVIDED)
    return top


def _in_range(name: str, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return images as float32 in [0, 1]."""
    low, high = float(pixels.min()), float(pixels.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise SpecError(
            f"{name}: values of images are from {low:.4g} to {high:.4g}, which is outside [0, 1]; clip them, and "
            f"leave normalisation to the model"
        )
    return pixels.astype(np.float32).clip(0, 1)

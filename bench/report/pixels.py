"""From images as arrays to pixels on a page: enlarged, amplified around grey, single pixels framed."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_FACTORS = (500, 200, 100, 50, 30, 20, 15, 10, 5, 3, 2, 1)
_PIXELS = 224  # width a picture is enlarged to, so that no viewer smooths its pixels away

#: Of at most so many changed pixels each gets a frame, in an image too fine to see it without.
_FRAMED = 16
_COARSE = 16
#: A frame is one pixel wide in an image of fewer than twice as many pixels a side, and so on.
_FINE = 64
_FRAME = (0.85, 0.33, 0.0)


def amplified(change: NDArray[np.float32], largest: float) -> tuple[int, NDArray[np.float32]]:
    """Return a change around grey, and the factor that makes one of size `largest` visible."""
    factor = next((f for f in _FACTORS if f * largest <= 0.5 * (1 + 1e-3)), 1)
    return factor, 0.5 + factor * change


def framed(shown: NDArray[np.float32], change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture of a change with a frame around each pixel, where there are but a few.

    In print a pixel of a photograph is no larger than a dot. The frame grows with the image.
    """
    where = np.argwhere(np.abs(change).max(0) > 0)
    height, width = change.shape[1:]
    if len(where) > _FRAMED or min(height, width) <= _COARSE:
        return shown
    colour = np.repeat(shown, 3 // len(shown), axis=0)
    marked = np.zeros((height, width), dtype=bool)
    wide = max(1, min(height, width) // _FINE)
    for reach, is_frame in ((2 * wide, True), (wide, False)):
        for row, column in where:
            down, right = max(row - reach, 0), max(column - reach, 0)
            marked[down : row + reach + 1, right : column + reach + 1] = is_frame
    colour[:, marked] = np.asarray(_FRAME, dtype=np.float32)[:, None]
    return colour


def to_bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image (C, H, W) in [0, 1] in 8 bits, rounded; what lies outside is cut off."""
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def to_picture(image: NDArray[np.float32], width: int | None = None) -> Image.Image:
    """Return an image (C, H, W) in [0, 1] as a picture, grey or in colour.

    Args:
        image: of 1 or 3 channels.
        width: about how wide the picture is to be: each pixel becomes a square of as many as come nearest;
            None for a pixel each.
    """
    pixels = to_bytes(image)
    times = 1 if width is None else max(1, round(width / pixels.shape[-1]))
    pixels = pixels.repeat(times, axis=1).repeat(times, axis=2)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def png_bytes(picture: Image.Image, dpi: int | None = None) -> bytes:
    """Return a picture as the bytes of a PNG file that says how many of its pixels are an inch in print."""
    file = io.BytesIO()
    picture.save(file, format="png", **({} if dpi is None else {"dpi": (dpi, dpi)}))
    return file.getvalue()


def to_png(image: NDArray[np.float32]) -> bytes:
    """Return an image (C, H, W) in [0, 1] as PNG, enlarged; what lies outside is cut off."""
    return png_bytes(to_picture(image, _PIXELS))

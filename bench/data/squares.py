"""Photographs as square images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from bench.errors import PrerequisiteError

#: What a decoder raises on a damaged file.
DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def read_square(file: Path, side: int) -> torch.Tensor:
    """Return a photograph as a square image, uint8 (3, side, side) with 255 for white.

    It is shown upright, the largest square in its middle is cut out, and that is scaled: bicubic, each new
    pixel over all old ones that it covers, so that shrinking makes no false patterns.

    Raises:
        PrerequisiteError: it cannot be read.
    """
    try:
        with Image.open(file) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except DAMAGE as error:
        raise PrerequisiteError(
            f"{file} cannot be read as an image ({error}); copy it here again, or remove it"
        ) from error
    square = cut_square(upright, side)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def cut_square(upright: Image.Image, side: int) -> Image.Image:
    """Return the square in the middle of a picture, scaled as in `read_square`."""
    return ImageOps.fit(upright, (side, side), Image.Resampling.BICUBIC)

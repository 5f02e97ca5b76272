"""How many images pass through a model at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: So many images of 32 x 32 pixels in colour; of larger ones as many as have so many values, or what layers give
#: for them would fill the memory.
_IMAGES, _VALUES = 500, 500 * 3 * 32 * 32


def images_at_once(shape: Sequence[int]) -> int:
    """Return how many images of shape (C, H, W) to predict or embed together, at least one."""
    return max(1, min(_IMAGES, _VALUES // math.prod(shape)))

"""Decays of a learning rate over a training, as a share of the first rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.registry import unknown

#: The total factor of the exponential decay.
_DECAY = 2.5
#: The factor of a step of the step decay, and the number of steps.
_FACTOR, _STEPS = 0.5, 5

#: The share of the first rate after a share t of the training, t in [0, 1).
SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1 - t,
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
    "exponential": lambda t: math.exp(-_DECAY * t),
    "step": lambda t: _FACTOR ** int(_STEPS * t),
}


def rate_share(shape: str, epoch: int, epochs: int) -> float:
    """Return the share of the first rate in an epoch, counted from 0.

    Raises:
        SpecError: no such shape.
    """
    if shape not in SHAPES:
        raise unknown("learning-rate shape", shape, list(SHAPES))
    return SHAPES[shape](epoch / epochs)

"""What native attacks return."""

from __future__ import annotations

from typing import NamedTuple

import torch


class NativeResult(NamedTuple):
    """The images that an attack ended with, and how long it took.

    Attributes:
        x_adv: float32 (N, C, H, W) in [0, 1]; where no label changed, the last image tried or the
            clean one, depending on the attack.
        iterations: int64 (N,), the steps each image took, on the CPU.
        unclipped: float32 (N, C, H, W), the images before a last clip to [0, 1]; None if the attack has none.
        trace: float32 (N, most steps + 1), how near the goal each image was at first and after each
            step, NaN after its last, on the CPU; None for attacks that keep none.
    """

    x_adv: torch.Tensor
    iterations: torch.Tensor
    unclipped: torch.Tensor | None = None
    trace: torch.Tensor | None = None

"""What the attacks written here return."""

from __future__ import annotations

from typing import NamedTuple

import torch


class NativeResult(NamedTuple):
    """The images that an attack ended with, and how long it took.

    Attributes:
        x_adv: float32 (N, C, H, W) in [0, 1]; of an image that changed no label, the last one tried or
            the clean one, as the attack says.
        iterations: int64 (N,), the steps each image took, on the CPU.
    """

    x_adv: torch.Tensor
    iterations: torch.Tensor

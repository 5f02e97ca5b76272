"""What networks for ImageNet need to take weights and images as they come."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn


class Resized(nn.Module):
    """A network that sees its images in another size, bilinearly scaled, and smoothed where they get smaller.

    Attributes:
        side: of a square, or (height, width).
    """

    def __init__(self, net: nn.Module, side: int | tuple[int, int]) -> None:
        super().__init__()
        self.net, self.side = net, side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        size = (self.side, self.side) if isinstance(self.side, int) else self.side
        smaller = size[0] < x.shape[-2] or size[1] < x.shape[-1]
        logits: torch.Tensor = self.net(
            F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=smaller)
        )
        return logits

    def extra_repr(self) -> str:
        """Return the size, which so is part of the network's fingerprint."""
        return f"side={self.side}"


def load_in_order(net: nn.Module, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """Return a network with weights that have other names but the same order and shapes.

    Raises:
        ValueError: more or fewer weights, or other shapes.
    """
    own = net.state_dict()
    shapes, given = ([tuple(value.shape) for value in each.values()] for each in (own, state))
    if shapes != given:
        raise ValueError(f"{len(given)} weights do not fit a network of {len(shapes)}")
    net.load_state_dict(dict(zip(own, state.values(), strict=True)))
    return net

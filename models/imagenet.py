"""What networks for ImageNet need to take weights and images as they come."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn


class Resized(nn.Module):
    """A network that sees its images in another size, bilinearly scaled."""

    def __init__(self, net: nn.Module, side: int) -> None:
        super().__init__()
        self.net, self.side = net, side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of square images (N, C, H, W)."""
        logits: torch.Tensor = self.net(
            F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False)
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

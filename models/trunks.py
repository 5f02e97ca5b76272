"""Trunks: what networks compute before their head, as a flat vector of features."""

from __future__ import annotations

import torch
from torch import nn


class Trunk(nn.Module):
    """A network from images to features.

    Attributes:
        net: images (N, C, H, W) in [0, 1] to feature maps, or to features.
        title: which network it is.
        trained_on: the data set that its weights were trained on.
    """

    def __init__(self, net: nn.Module, title: str, trained_on: str) -> None:
        super().__init__()
        self.net, self.title, self.trained_on = net, title, trained_on

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features (N, D) of images (N, C, H, W) in [0, 1]."""
        features: torch.Tensor = self.net(x).flatten(1)
        return features


def before_head(net: nn.Module) -> nn.Module:
    """Return the layers of one of Crossfire's own networks up to and with the one that flattens.

    Args:
        net: without its normalisation, images to logits.

    Raises:
        ValueError: nothing flattens there, so that it is not known where the head begins.
    """
    if isinstance(net, nn.Sequential):
        for at, layer in enumerate(net):
            if isinstance(layer, nn.Flatten):
                return net[: at + 1]
        if len(net) and isinstance(net[0], nn.Sequential):
            return before_head(net[0])
    raise ValueError(f"a {type(net).__name__} has no layer that flattens before its head")


def headless_inception(net: nn.Module) -> nn.Module:
    """Return torchvision's InceptionV3 up to its last feature map, before the mean over places.

    Args:
        net: with its head, which is taken off in place.
    """
    net.avgpool, net.dropout, net.fc = nn.Identity(), nn.Identity(), nn.Identity()
    net.register_module("AuxLogits", None)
    return net

"""The network that is trained on the answers of another model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

#: Maps are halved until no side is longer than the first number of pixels; images with a side of more than
#: twice the second are made smaller by the stride of the first convolution.
_LEAST, _MAPS = 4, 32


def small_convs(shape: Sequence[int], outputs: int) -> nn.Sequential:
    """Return a small network for images of any size, which takes them in [0, 1].

    Convolutions with ReLU and max pools, and a hidden layer of 200, much like the substitutes of Papernot et
    al. (2017).

    Args:
        shape: (C, H, W) of an image.
        outputs: number of logits.

    Returns:
        Images (N, C, H, W) to logits (N, outputs).
    """
    channels, height, width = shape
    stride = max(1, max(height, width) // _MAPS)
    layers: list[nn.Module] = [
        nn.Conv2d(channels, 32, 2 * stride + 1, stride=stride, padding=stride),
        nn.ReLU(),
    ]
    maps, height, width = 32, -(-height // stride), -(-width // stride)
    while max(height, width) > _LEAST:
        layers += [nn.MaxPool2d(2, ceil_mode=True), nn.Conv2d(maps, 64, 3, padding=1), nn.ReLU()]
        maps, height, width = 64, -(-height // 2), -(-width // 2)
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(maps * height * width, 200),
        nn.ReLU(),
        nn.Linear(200, outputs),
    )

"""Seven plain convolutional networks for flowers: a baseline and six deeper ones, Mk-1 to Mk-6.

The document that describes them prints how many layers of which kind each has and its parameter count, not
the widths. The widths here are the only ones in powers of two that give these counts. Where the pools
stand does not follow from the counts; Mk-2, 4 and 6 pool after every second convolution, Mk-3 after
2, 3, 2 and 2, Mk-5 after 1, 2, 2 and 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional as F

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

#: Keras' slope of a leaky ReLU for negative inputs, which the document does not change; torch's is 0.01.
LEAKY_SLOPE = 0.3

_SIDE, _CLASSES = 128, 17


def _leaky() -> nn.Module:
    return nn.LeakyReLU(LEAKY_SLOPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The layers of a network.

    Attributes:
        blocks: channels of 3 x 3 convolutions; a 2 x 2 max pool follows each block.
        hidden: units of the dense layer behind them; the last layer follows.
        activation: of every layer but the last.
        padded: whether a convolution keeps the size of its map.
        slim_side: of the image, in pixels, that the slim form sees.
    """

    blocks: tuple[tuple[int, ...], ...]
    hidden: int
    activation: Callable[[], nn.Module] = nn.ReLU
    padded: bool = True
    slim_side: int = 64


#: Mk-5 has no padding, and its last map would be empty on an image of 64 pixels.
PLANS: dict[str, Plan] = {
    "baseline": Plan(blocks=((32,),), hidden=64),
    "mk-1": Plan(blocks=((64,), (128,), (256,), (512,)), hidden=512),
    "mk-2": Plan(blocks=((32, 32), (64, 64), (128, 256)), hidden=512),
    "mk-3": Plan(blocks=((32, 64), (128, 128, 128), (256, 256), (512, 512)), hidden=1024),
    "mk-4": Plan(
        blocks=((32, 32), (64, 64), (128, 256)), hidden=512, activation=_leaky, padded=False
    ),
    "mk-5": Plan(
        blocks=((64,), (128, 128), (256, 256), (256, 512)), hidden=1024, activation=nn.Tanh,
        padded=False, slim_side=96,
    ),
    "mk-6": Plan(blocks=((64, 64), (64, 128), (256, 256)), hidden=512, activation=_leaky),
}  # fmt: skip


class Shrunk(nn.Module):
    """Images made smaller inside a network: bilinear, each new pixel over all old ones that it covers."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return images (N, C, side, side) of square images (N, C, H, H)."""
        return F.interpolate(x, size=(self.side, self.side), mode="bilinear", antialias=True)

    def extra_repr(self) -> str:
        """Return the size, which is part of the printed architecture."""
        return f"side={self.side}"


def flower_cnn(name: str, slim: bool = False) -> nn.Sequential:
    """Return a network of `PLANS`, normalised images (N, 3, 128, 128) to logits (N, 17), with Glorot's weights.

    Args:
        name: in `PLANS`.
        slim: whether convolutions have a quarter of their channels and the hidden layer a sixteenth of its
            units, at least 16, and the network first shrinks its images to the plan's `slim_side`, usually
            64 pixels.
    """
    plan, divisor = PLANS[name], 4 if slim else 1
    layers: list[nn.Module] = [Shrunk(plan.slim_side)] if slim else []
    channels, side = 3, plan.slim_side if slim else _SIDE
    for block in plan.blocks:
        for width in block:
            layers += [_convolution(channels, width // divisor, plan.padded), plan.activation()]
            channels, side = width // divisor, side if plan.padded else side - 2
        layers.append(nn.MaxPool2d(2))
        side //= 2
    hidden = max(16, plan.hidden // 16) if slim else plan.hidden
    layers += [nn.Flatten(), _dense(channels * side * side, hidden), plan.activation()]
    return nn.Sequential(*layers, _dense(hidden, _CLASSES))


def _convolution(inputs: int, outputs: int, padded: bool) -> nn.Module:
    return glorot(_bare(nn.Conv2d, inputs, outputs, 3, padding=1 if padded else 0))


def _dense(inputs: int, outputs: int) -> nn.Module:
    return glorot(_bare(nn.Linear, inputs, outputs))


def _bare(kind: type[Layer], *sizes: int, **more: Any) -> Layer:
    """Return a layer whose weights are not yet drawn, since those of the large ones take a while."""
    more["device"] = torch.get_default_device()
    layer: Layer = nn.utils.skip_init(kind, *sizes, **more)  # type: ignore[no-untyped-call]
    return layer


def glorot(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Return a layer with Keras' first weights: uniform by Glorot and Bengio (2010), biases of zero."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer

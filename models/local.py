"""The two-layer network of the local-learning study: one wide convolution and one linear layer.

Convolution (stride 1, no padding), max pooling (stride 2), a steep activation, a linear layer
(Krotov and Hopfield, 2019; Grinberg et al., 2019). The network of local learning normalises each
patch and uses the inner product of its rule; its back-propagated twin does neither. Inputs are images
in [0, 1]; outputs are logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

#: The p-norm of a patch of zeros counts as this much, so that its activations are zero.
SMALLEST_NORM = 1e-6

_POOL_STRIDE = 2


def _rexp(x: torch.Tensor) -> torch.Tensor:
    # Clamped first: the gradient of a branch not taken may be infinite, and 0 * inf is not 0.
    return torch.expm1(x.clamp_min(0))


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "rexp": _rexp,
}


class LocalConv(nn.Module):
    """The activations <W_k, v>_k = sum_i |W_ki|^(p-2) W_ki v_i of filters on patches of unit p-norm.

    Attributes:
        filters: (K * K, C, width, width).
    """

    def __init__(self, filters: torch.Tensor, p: int) -> None:
        super().__init__()
        self.filters = nn.Parameter(filters)
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations (N, K * K, H', W') of images (N, C, H, W)."""
        weights = self.filters * self.filters.abs() ** (self.p - 2)
        return _convolved(x, weights) / patch_norms(x, self.filters.shape[-1], self.p)

    def extra_repr(self) -> str:
        """Return what a printed network says of this part."""
        return f"filters={tuple(self.filters.shape)}, p={self.p}"


class PlainConv(nn.Module):
    """An ordinary convolution without bias, on patches as they are.

    Attributes:
        filters: (K * K, C, width, width).
    """

    def __init__(self, filters: torch.Tensor) -> None:
        super().__init__()
        self.filters = nn.Parameter(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations (N, K * K, H', W') of images (N, C, H, W)."""
        return _convolved(x, self.filters)

    def extra_repr(self) -> str:
        """Return what a printed network says of this part."""
        return f"filters={tuple(self.filters.shape)}"


def _convolved(x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    # With channels last, the pooling that follows takes a tenth of the time.
    return F.conv2d(x.contiguous(memory_format=torch.channels_last), filters)


def patch_norms(x: torch.Tensor, width: int, p: int) -> torch.Tensor:
    """Return the p-norm of each patch of images (N, C, H, W), as (N, 1, H', W')."""
    powers = x.abs().pow(p).sum(1, keepdim=True)
    sums = F.avg_pool2d(powers, width, stride=1) * width**2
    return sums.clamp_min(SMALLEST_NORM**p) ** (1 / p)


class Steep(nn.Module):
    """An activation function to the power n."""

    def __init__(self, activation: str, n: int) -> None:
        super().__init__()
        self.activation = activation
        self.n = n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return activation(x)^n, in the shape of x."""
        return ACTIVATIONS[self.activation](x) ** self.n

    def extra_repr(self) -> str:
        """Return what a printed network says of this part."""
        return f"{self.activation}, n={self.n}"


class Flat(nn.Module):
    """Features as a row an image, place by place.

    Images are trained with their channels last; in this order nothing has to be copied, forth or back.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, H * W * C) of (N, C, H, W)."""
        return x.permute(0, 2, 3, 1).flatten(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoLayers:
    """What there is to choose of the network, in the study's letters.

    Attributes:
        rule: `ll` for local learning, `bp` for the back-propagated twin.
        K: the square root of the number of filters.
        w: their width.
        n: the power of the activation.
        pool: the width of the pooling, whose stride is 2.
        activation: relu, elu, gelu or rexp.
        p: of the norm of patches and filters, 2 to 6; of local learning only.
    """

    rule: str
    K: int
    w: int
    n: int
    pool: int
    activation: str
    p: int = 2


def two_layers(input_shape: tuple[int, int, int], classes: int, chosen: TwoLayers) -> nn.Sequential:
    """Return the network, untrained: a front that gives the features, and a linear head.

    Args:
        input_shape: (C, H, W) of an image.
        classes: how many logits.
        chosen: all that a recipe decides.
    """
    channels, w = input_shape[0], chosen.w
    filters = torch.empty(chosen.K**2, channels, w, w)
    if chosen.rule == "ll":
        filters.normal_()
        conv: nn.Module = LocalConv(filters, chosen.p)
    else:
        bound = (channels * w * w) ** -0.5
        conv = PlainConv(filters.uniform_(-bound, bound))
    height, width = (
        (length - w + 1 - chosen.pool) // _POOL_STRIDE + 1 for length in input_shape[1:]
    )
    pooled = nn.MaxPool2d(chosen.pool, _POOL_STRIDE)
    return nn.Sequential(
        nn.Sequential(conv, pooled, Steep(chosen.activation, chosen.n), Flat()),
        nn.Linear(chosen.K**2 * height * width, classes),
    )

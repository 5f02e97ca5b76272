"""The first product with weights that a model calls, tied to the image past all that comes before it.

What a model does to an image before its first convolution or matrix product may have no gradient, or one that
lies: rounding, a purifier, a library outside torch. If it changes the image little, its backward pass is
replaced by that of an affine map (Athalye, Carlini and Wagner, ICML 2018). The functions that a model calls on
tensors are replaced while it runs, so that it needs no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bench.attacks.native.adaptive.replaced import replaced

_SET_GRAD = torch._C._set_grad_enabled

#: Products with weights, and where their input stands among the arguments.
_PRODUCTS = {
    "conv1d": 0, "conv2d": 0, "linear": 0, "matmul": 0, "mm": 0, "__matmul__": 0, "addmm": 1,
}  # fmt: skip

#: The least share of the variance of a first product's input that the image must explain.
_EXPLAINED = 0.5


@dataclass(frozen=True, slots=True)
class Link:
    """An affine map from the image, perhaps resized, to the input of the first product.

    Attributes:
        shape: of that input for one image, (C, H, W).
        flat: whether the product takes it flattened.
        slope: float32 (C,), a factor a channel.
        weight: the weights of the product, by which its calls are told from others.
    """

    shape: tuple[int, int, int]
    flat: bool
    slope: torch.Tensor
    weight: torch.Tensor

    def ties(self, weight: torch.Tensor) -> bool:
        """Return whether a product with these weights is the one that is tied."""
        return weight.shape == self.weight.shape and weight.data_ptr() == self.weight.data_ptr()

    def source(self, image: torch.Tensor) -> torch.Tensor:
        """Return what stands in for the input of the product, with the gradient of the image."""
        stand_in = _sized(image, self.shape[1:]) * self.slope.to(image).view(-1, 1, 1)
        return stand_in.flatten(1) if self.flat else stand_in


class FirstProduct(TorchFunctionMode):
    """Records what a model's first product with weights gets.

    Attributes:
        given: a copy of its input; None if the model calls no product.
        weight: the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: torch.Tensor | None = None
        self.weight: torch.Tensor | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        at = _input_of(func, args)
        if at is not None and self.given is None:
            self.given, self.weight = args[at].detach().clone(), args[at + 1]
        return func(*args, **(kwargs or {}))


class _Tied(TorchFunctionMode):
    def __init__(self, image: torch.Tensor, link: Link, *, alone: bool) -> None:
        super().__init__()
        self.image, self.link, self.alone = image, link, alone

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is _SET_GRAD:  # a gradient flows where the model switches it off, too
            return func(True)
        at = _input_of(func, args)
        if at is not None and self.link.ties(args[at + 1]):
            given = args[at]
            source = self.link.source(self.image).to(given.dtype)
            own = given.requires_grad and not self.alone
            given = given + (source - source.detach()) if own else replaced(given, source)
            args = (*args[:at], given, *args[at + 1 :])
        return func(*args, **(kwargs or {}))


class TiedNetwork(nn.Module):
    """A network whose first product is tied to the image past all that comes before it.

    Args:
        net: images to scores.
        link: from the image to the input of the product.
        alone: whether the input's own gradient, if it has one, is cut off.
    """

    def __init__(self, net: nn.Module, link: Link, *, alone: bool) -> None:
        super().__init__()
        self.net, self.link, self.alone = net, link, alone

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with _Tied(x, self.link, alone=self.alone):
            scores: torch.Tensor = self.net(x)
        return scores


def link_of(image: torch.Tensor, first: FirstProduct) -> Link | None:
    """Return how the input of a first product is tied to the image (N, C, H, W); None where it is not like it.

    Args:
        image: what the model got.
        first: what was recorded of it.
    """
    given, weight, channels = first.given, first.weight, image.shape[1]
    if given is None or weight is None or len(given) != len(image):
        return None
    if given.ndim == 4 and given.shape[1] == channels:
        shape = (channels, given.shape[2], given.shape[3])
    elif given.ndim == 2 and given[0].numel() == image[0].numel():
        shape = (channels, image.shape[2], image.shape[3])
    else:
        return None
    z, x = given.float().reshape(len(image), *shape), _sized(image.detach(), shape[1:])
    x, z = (part.transpose(0, 1).flatten(1) for part in (x, z))
    x, z = (part - part.mean(1, keepdim=True) for part in (x, z))
    slope = (x * z).sum(1) / (x * x).sum(1).clamp(min=1e-12)
    unexplained = (z - slope[:, None] * x).square().sum() / z.square().sum().clamp(min=1e-12)
    known = float(unexplained) <= 1 - _EXPLAINED
    return Link(shape, given.ndim == 2, slope, weight) if known else None


def _input_of(func: Callable[..., Any], args: tuple[Any, ...]) -> int | None:
    """Return where the input of a product with weights stands among its arguments; None for other functions."""
    at = _PRODUCTS.get(getattr(func, "__name__", ""))
    if at is None or len(args) < at + 2:
        return None
    both = args[at : at + 2]
    fit = all(isinstance(arg, torch.Tensor) and arg.is_floating_point() for arg in both)
    return at if fit else None


def _sized(image: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    if tuple(image.shape[2:]) == tuple(size):
        return image
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False)

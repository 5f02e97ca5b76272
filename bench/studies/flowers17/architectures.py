"""The networks and trunks of the study: their layers, parameters and feature maps, counted in the networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from bench.models.flower_cnns import PLANS

if TYPE_CHECKING:
    from torch import nn

#: What each published trunk is built by, and those of ours in their place.
_OF_TORCHVISION = {"vgg16": "vgg16", "inception-v3": "inception_v3"}
_OF_TIMM = {
    "mobilenet": "mobilenetv1_100",
    "xception": "legacy_xception",
    "efficientnet-lite0": "tf_efficientnet_lite0",
}
_SIDE = 128


@cache
def network_counts(network: str, *, slim: bool = False) -> Mapping[str, float]:
    """Return the layers and parameters of a network of the document.

    Args:
        network: in `bench.models.flower_cnns.PLANS`.
        slim: whether of the slim form.

    Returns:
        `convolutions, pools, hidden_layers` (dense layers before the last) and `parameters`.
    """
    import torch
    from torch import nn

    from bench.models.flower_cnns import flower_cnn

    with torch.device("meta"):
        net = flower_cnn(network, slim)
    layers = [type(layer) for layer in net.modules()]
    return {
        "convolutions": layers.count(nn.Conv2d),
        "pools": layers.count(nn.MaxPool2d),
        "hidden_layers": layers.count(nn.Linear) - 1,
        "parameters": _parameters(net),
    }


def activation(network: str) -> str:
    """Return the activation of a network in words: `leaky ReLU, slope 0.3`."""
    layer: Any = PLANS[network].activation()
    slope = getattr(layer, "negative_slope", None)
    names = {"ReLU": "ReLU", "LeakyReLU": "leaky ReLU", "Tanh": "tanh"}
    return names[type(layer).__name__] + ("" if slope is None else f", slope {slope:g}")


@cache
def trunk_counts(trunk: str) -> Mapping[str, float]:
    """Return the size of a trunk on an image of 128 pixels; empty where what builds it is not installed.

    Returns:
        `parameters`, `map_side`, `map_channels` (of its last feature map) and `features`.
    """
    import torch

    build = _builders().get(trunk)
    if build is None:
        return {}
    try:
        with torch.device("meta"):
            net = build().eval()
    except ImportError:
        return {}
    sizes: list[tuple[int, ...]] = []

    def note(layer: nn.Module, given: Any, made: torch.Tensor) -> None:
        if made.dim() == 4:
            sizes.append(tuple(made.shape))

    for layer in net.modules():
        layer.register_forward_hook(note)
    with torch.no_grad():
        features = net(torch.empty(1, 3, _SIDE, _SIDE, device="meta")).flatten(1).shape[1]
    _, channels, side, _ = next(
        size for size in reversed(sizes) if size[1] * size[2] ** 2 == features
    )
    return {
        "parameters": _parameters(net), "map_side": side, "map_channels": channels,
        "features": features,
    }  # fmt: skip


def _parameters(net: nn.Module) -> int:
    return sum(weights.numel() for weights in net.parameters())


def _builders() -> Mapping[str, Callable[[], Any]]:
    from bench.models.convnets import three_blocks_trunk

    return {
        **{trunk: partial(_of_torchvision, name) for trunk, name in _OF_TORCHVISION.items()},
        **{trunk: partial(_of_timm, name) for trunk, name in _OF_TIMM.items()},
        "cifar10-cnn": three_blocks_trunk,
    }


def _of_torchvision(name: str) -> nn.Module:
    from torchvision import models

    from bench.models.trunks import headless_inception

    if name == "inception_v3":
        return headless_inception(models.inception_v3(weights=None, init_weights=False))
    net: nn.Module = models.get_model(name, weights=None).get_submodule("features")
    return net


def _of_timm(name: str) -> nn.Module:
    import timm

    net: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
    return net

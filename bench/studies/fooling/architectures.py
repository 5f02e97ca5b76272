"""The networks of the study: how many parameters they have, in its form for CIFAR-10 and in that for ImageNet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

#: The form for ImageNet of each published network, as torchvision calls it, and what it is made with. The
#: printed count of Inception v3 is with its auxiliary head.
_IMAGENET: Mapping[str, tuple[str, Mapping[str, bool]]] = {
    "resnet50": ("resnet50", {}),
    "densenet169": ("densenet169", {}),
    "mobilenet-v2": ("mobilenet_v2", {}),
    "inception-v3": ("inception_v3", {"aux_logits": True, "init_weights": False}),
}


@cache
def parameter_count(model: str, data: str, *, slim: bool = False) -> int:
    """Return how many parameters one of our networks has.

    Args:
        model: published name, such as `mobilenet-v2`.
        data: `cifar10` or `imagenet`: which of the two forms.
        slim: whether of the slim one; there is none for ImageNet.
    """
    import torch

    with torch.device("meta"):  # sizes alone, no weights
        net = network(model, data, slim=slim)()
    return sum(weights.numel() for weights in net.parameters())


def network(model: str, data: str, *, slim: bool = False) -> Callable[[], nn.Module]:
    """Return what makes a network, with new weights; see `parameter_count`."""
    import torchvision.models

    from bench.models import cifar_cnns

    if data == "imagenet":
        name, options = _IMAGENET[model]
        return partial(getattr(torchvision.models, name), weights=None, **options)
    name = model.replace("-", "")
    return getattr(cifar_cnns, f"slim_{name}" if slim else name)  # type: ignore[no-any-return]

"""Trunks by name: Crossfire's own networks before their head, and those that others have published."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from torch import nn

from bench.adapters.network import Normalised, weights_digest
from bench.errors import PrerequisiteError, SpecError
from bench.models.trunks import Trunk, before_head, headless_inception
from bench.train.cards import SHIPPED, weights_folder
from bench.train.families import family_named
from bench.train.networks import with_weights
from bench.train.pretrained import PRETRAINED, lite0_network, torchvision_network
from bench.train.recipes import recipe
from bench.train.weights import read_weights, sound

_HALF = (0.5, 0.5, 0.5)


def _of_torchvision(network: str, version: str, cut: Callable[[nn.Module], nn.Module]) -> nn.Module:
    net, preset = torchvision_network(network, version)
    return Normalised(cut(net), preset.mean, preset.std)


def _layers(net: nn.Module) -> nn.Module:
    """Return the layers of a network of torchvision before its mean over places."""
    return net.get_submodule("features")


def _of_timm(network: str) -> nn.Module:
    """Return a network of timm up to its last feature map, with the weights it is published with.

    Raises:
        PrerequisiteError: timm is not installed, or the weights cannot be downloaded.
    """
    try:
        import timm
    except ImportError as error:
        raise PrerequisiteError(f"trunk {network} needs timm; run: pip install timm") from error
    try:
        net = timm.create_model(network, pretrained=True, num_classes=0, global_pool="")
    except (OSError, RuntimeError, ValueError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise PrerequisiteError(
            f"the weights of {network} are not here and could not be downloaded ({first}); where there is a "
            f"network run: python -c \"import timm; timm.create_model('{network}', pretrained=True)\""
        ) from error
    wanted: Any = net.pretrained_cfg
    return Normalised(net, wanted["mean"], wanted["std"])


def _lite0() -> nn.Module:
    net = lite0_network()
    net.reset_classifier(0, "")  # the last feature map, before the mean over places
    return Normalised(net, _HALF, _HALF)


#: What makes each trunk that others have published. All are trained on ImageNet.
PUBLISHED: dict[str, Callable[[], nn.Module]] = {
    "imagenet/vgg16": partial(_of_torchvision, "vgg16", "IMAGENET1K_V1", _layers),
    "imagenet/inceptionv3": partial(
        _of_torchvision, "inception_v3", "IMAGENET1K_V1", headless_inception
    ),
    "imagenet/mobilenetv1": partial(_of_timm, "mobilenetv1_100"),
    "imagenet/mobilenetv2": partial(_of_torchvision, "mobilenet_v2", "IMAGENET1K_V2", _layers),
    "imagenet/mobilenetv3": partial(
        _of_torchvision, "mobilenet_v3_large", "IMAGENET1K_V2", _layers
    ),
    "imagenet/xception": partial(_of_timm, "legacy_xception"),
    "imagenet/efficientnet-lite0": _lite0,
}


@cache
def trunk_named(name: str, device: str) -> Trunk:
    """Return a trunk, frozen and shared by all models on it in this process.

    Models on another device do not share it, since moving one model would move the trunk of all.

    Args:
        name: `imagenet/NETWORK`, or the name of one of Crossfire's own networks, such as `cifar10/cnn`.
        device: the device it will be moved to.

    Raises:
        PrerequisiteError: its weights are not here.
        SpecError: a network of which it is not known where its head begins.
    """
    if name in PUBLISHED:
        return _frozen(PUBLISHED[name](), name)
    folder = weights_folder(name) or SHIPPED
    weights = read_weights(folder, name)
    rules = weights.recipe
    with sound(folder, name):
        net = with_weights(family_named(rules.family).build(rules), weights.payload)
    try:
        front = before_head(net)
    except ValueError as error:
        raise SpecError(f"{name} cannot be a trunk: {error}") from error
    return _frozen(Normalised(front, rules.mean, rules.std), name)


def trained_on(name: str) -> str:
    """Return the data set that a model was trained on, by its name; `ImageNet` for those of others."""
    return "ImageNet" if name in PUBLISHED or name in PRETRAINED else recipe(name).data


def _frozen(net: nn.Module, name: str) -> Trunk:
    trunk = Trunk(net, name, trained_on(name))
    trunk.requires_grad_(False).eval()
    return trunk


@cache
def digest_of(trunk: Trunk) -> str:
    """Return the digest of a trunk's weights, computed once per process."""
    return weights_digest(trunk)

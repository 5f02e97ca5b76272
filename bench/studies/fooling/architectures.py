"""The networks of the study, in its form for CIFAR-10 and in that for ImageNet: sizes, seen in a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch
    from torch import nn

#: The form for ImageNet of each published network: torchvision's name, what it is made with, and the size
#: of its images. The printed count of Inception v3 is with its auxiliary head.
_IMAGENET: Mapping[str, tuple[str, Mapping[str, bool], int]] = {
    "resnet50": ("resnet50", {}, 224),
    "densenet169": ("densenet169", {}, 224),
    "mobilenet-v2": ("mobilenet_v2", {}, 224),
    "inception-v3": ("inception_v3", {"aux_logits": True, "init_weights": False}, 299),
}
_CIFAR_SIZE = 32
#: The stages of each network as the study's tables have them, each with the layers that it is: the first
#: and the last of them.
STAGES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "resnet50": {
        "first convolution": ("conv1", "conv1"),
        "max pool": ("maxpool", "maxpool"),
        **{f"stage {turn}": (f"layer{turn - 1}.0", f"layer{turn - 1}") for turn in range(2, 6)},
        "average pool": ("avgpool", "avgpool"),
    },
    "densenet169": {
        "first convolution": ("features.conv0", "features.conv0"),
        "max pool": ("features.pool0", "features.pool0"),
        **{
            name: stage
            for turn in range(1, 5)
            for name, stage in {
                f"dense block {turn}": (f"features.denseblock{turn}.denselayer1",
                                        f"features.denseblock{turn}"),
                f"transition {turn}": (f"features.transition{turn}", f"features.transition{turn}"),
            }.items()
            if (turn, name) != (4, "transition 4")
        },
    },
    "mobilenet-v2": {
        "first convolution": ("features.0", "features.0"),
        **{
            f"bottleneck {turn}": (f"features.{first}", f"features.{last}")
            for turn, (first, last) in enumerate(
                [(1, 1), (2, 3), (4, 6), (7, 10), (11, 13), (14, 16), (17, 17)], 1
            )
        },
        "last convolution": ("features.18", "features.18"),
    },
    "inception-v3": {
        "first convolutions": ("Conv2d_1a_3x3", "maxpool2"),
        "Inception A": ("Mixed_5b", "Mixed_5d"),
        "Inception B": ("Mixed_6a", "Mixed_6a"),
        "Inception C": ("Mixed_6b", "Mixed_6e"),
        "Inception D": ("Mixed_7a", "Mixed_7a"),
        "Inception E": ("Mixed_7b", "Mixed_7c"),
    },
}  # fmt: skip


@cache
def parameter_count(model: str, data: str, *, slim: bool = False) -> int:
    """Return how many parameters one of our networks has.

    Args:
        model: published name, such as `mobilenet-v2`.
        data: `cifar10` or `imagenet`: which of the two forms.
        slim: whether of the slim one; there is none for ImageNet.
    """
    return sum(weights.numel() for weights in _network(model, data, slim).parameters())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a network as a forward pass shows it.

    Attributes:
        size: of its maps: height, which is their width.
        channels: of its output.
        block: the convolutions of its first block in order: `1x1 64, 3x3 64, 1x1 256`, `/2` behind one
            of stride 2; of more than four only how many; empty of a stage without any.
        blocks: how many blocks there are; 1 of a stage whose layers are of several kinds.
    """

    size: int
    channels: int
    block: str
    blocks: int


@cache
def stages(model: str, data: str, *, slim: bool = False) -> Mapping[str, Stage]:
    """Return the stages of a network, by the names in `STAGES`; see `parameter_count`.

    One image without values goes through the network, and the layers tell what they were given and gave.
    """
    import torch

    net = _network(model, data, slim).eval()
    seen: dict[str, tuple[int, ...]] = {}
    convolutions: list[tuple[str, str]] = []

    def note(name: str, layer: nn.Module, given: Any, made: torch.Tensor) -> None:
        seen[name] = tuple(made.shape)
        if isinstance(layer, torch.nn.Conv2d):
            convolutions.append((name, _convolution(layer)))

    for name, layer in net.named_modules():
        if name:
            layer.register_forward_hook(partial(note, name))
    size = _IMAGENET[model][2] if data == "imagenet" else _CIFAR_SIZE
    with torch.no_grad():
        net(torch.empty(1, 3, size, size, device="meta"))
    found = {}
    for stage, (first, last) in STAGES[model].items():
        blocks = _blocks(list(seen), first, last)
        alike = {type(net.get_submodule(name)) for name in blocks}
        shown = blocks[:1] if len(alike) == 1 else blocks
        own = [text for name, text in convolutions if any(_within(name, one) for one in shown)]
        _, channels, height, _ = seen[last]
        found[stage] = Stage(
            size=height,
            channels=channels,
            block=_in_words(own),
            blocks=len(blocks) if len(alike) == 1 else 1,
        )
    return found


def _network(model: str, data: str, slim: bool) -> nn.Module:
    """Return a network without values: its sizes alone."""
    import torch
    import torchvision.models

    from bench.models import cifar_cnns

    if data == "imagenet":
        name, options, _ = _IMAGENET[model]
        make: Callable[[], Any] = partial(
            getattr(torchvision.models, name), weights=None, **options
        )
    else:
        name = model.replace("-", "")
        make = getattr(cifar_cnns, f"slim_{name}" if slim else name)
    with torch.device("meta"):
        return cast("nn.Module", make())


def _within(name: str, block: str) -> bool:
    """Return whether a layer is a block or part of it, and no shortcut around it."""
    return (name == block or name.startswith(f"{block}.")) and "downsample" not in name


def _convolution(layer: nn.Module) -> str:
    height, width = cast("tuple[int, int]", layer.kernel_size)
    stride = cast("tuple[int, int]", layer.stride)[0]
    return f"{height}x{width} {layer.out_channels}" + (f" /{stride}" if stride > 1 else "")


def _in_words(convolutions: Sequence[str]) -> str:
    if len(convolutions) > _SHOWN:
        return f"{len(convolutions)} convolutions"
    return ", ".join(convolutions)


_SHOWN = 4


def _blocks(order: Sequence[str], first: str, last: str) -> list[str]:
    """Return the layers of a stage from the first to the last, in the order in which they are done."""
    if first.startswith(f"{last}."):  # those of one module
        depth = first.count(".")
        return [name for name in order if name.startswith(f"{last}.") and name.count(".") == depth]
    alike = [name for name in order if name.count(".") == last.count(".")]
    return alike[alike.index(first) : alike.index(last) + 1]

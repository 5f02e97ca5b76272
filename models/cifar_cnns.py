"""Four networks made for ImageNet, in the form the study of fooling gives them for CIFAR-10.

Each is torchvision's own, changed only where images of 32 x 32 need it: (N, 3, 32, 32) to
(N, outputs). A width below 1 makes all layers narrower and takes none away; for ResNet and Inception it
must divide the channels of every layer, since branches are joined. Inputs are already normalised images.
"""

from __future__ import annotations

from typing import cast

from torch import nn
from torchvision.models.densenet import DenseNet
from torchvision.models.inception import BasicConv2d, Inception3
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import Bottleneck, ResNet

#: Repeats of a block: expansion, channels, how many, stride of the first. The second row has a
#: stride of 2 on ImageNet.
_INVERTED = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


def resnet50(outputs: int = 10, width: float = 1.0) -> nn.Module:
    """Return ResNet-50 whose first convolution is 3 x 3 of stride 1; the max pool behind it stays."""
    net = ResNet(Bottleneck, [3, 4, 6, 3], num_classes=outputs)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    made = _begun(_narrowed(net, width))
    for block in made.modules():
        if isinstance(block, Bottleneck):  # each adds nothing at first, or narrow ones diverge
            nn.init.zeros_(cast("nn.BatchNorm2d", block.bn3).weight)
    return made


def densenet169(outputs: int = 10, width: float = 1.0) -> nn.Module:
    """Return DenseNet-169 whose first convolution is 3 x 3 of stride 1; the max pool behind it stays.

    Each layer adds 32 * width channels.
    """
    net = DenseNet(round(32 * width), (6, 12, 32, 32), round(64 * width), num_classes=outputs)
    first = nn.Conv2d(3, round(64 * width), 3, padding=1, bias=False)
    nn.init.kaiming_normal_(first.weight)
    net.features.conv0 = first
    made: nn.Module = net
    return made


def mobilenetv2(outputs: int = 10, width: float = 1.0) -> nn.Module:
    """Return MobileNetV2 that halves its maps three times, not five, with its own width multiplier.

    That keeps the last convolution at 1,280 channels.
    """
    net = MobileNetV2(outputs, width, _INVERTED, dropout=_dropout(0.2, width))
    first = cast("nn.Conv2d", net.features[0][0])
    first.stride = (1, 1)
    made: nn.Module = net
    return made


def inceptionv3(outputs: int = 10, width: float = 1.0) -> nn.Module:
    """Return Inception v3 with one 3 x 3 convolution for its stem, and no auxiliary head."""
    net = Inception3(outputs, aux_logits=False, init_weights=False, dropout=_dropout(0.5, width))
    net.Conv2d_1a_3x3 = BasicConv2d(3, 192, kernel_size=3, padding=1)
    for part in ("Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3",
                 "maxpool2"):  # fmt: skip
        setattr(net, part, nn.Identity())
    return _begun(_narrowed(net, width))


def slim_resnet50(outputs: int = 10) -> nn.Module:
    """Return `resnet50` of three sixteenths the width."""
    return resnet50(outputs, 3 / 16)


def slim_densenet169(outputs: int = 10) -> nn.Module:
    """Return `densenet169` of three sixteenths the width: each layer adds 6 channels."""
    return densenet169(outputs, 3 / 16)


def slim_mobilenetv2(outputs: int = 10) -> nn.Module:
    """Return `mobilenetv2` of a quarter of the width."""
    return mobilenetv2(outputs, 1 / 4)


def slim_inceptionv3(outputs: int = 10) -> nn.Module:
    """Return `inceptionv3` of an eighth of the width."""
    return inceptionv3(outputs, 1 / 8)


def _dropout(full: float, width: float) -> float:
    """Return the dropout of a network; narrow ones fit their training images badly enough."""
    return full if width == 1 else 0.0


def _narrowed(net: nn.Module, width: float) -> nn.Module:
    """Return a network of plain convolutions with all its layers narrower, and all weights new.

    Colours and outputs are as many as before.

    Raises:
        ValueError: channels that have no such share.
    """
    if width == 1:
        return net
    for parent in list(net.modules()):
        for name, layer in parent.named_children():
            narrow = _narrow(layer, width)
            if narrow is not None:
                setattr(parent, name, narrow)
    return net


def _narrow(layer: nn.Module, width: float) -> nn.Module | None:
    """Return a narrower layer; None for one that has no width of its own."""
    if isinstance(layer, nn.Conv2d):
        kernel, stride, padding = (
            cast("tuple[int, int]", size)
            for size in (layer.kernel_size, layer.stride, layer.padding)
        )
        c_in = 3 if layer.in_channels == 3 else _share(layer.in_channels, width)
        return nn.Conv2d(
            c_in, _share(layer.out_channels, width), kernel, stride, padding, bias=False
        )
    if isinstance(layer, nn.BatchNorm2d):
        return nn.BatchNorm2d(_share(layer.num_features, width), layer.eps)
    if isinstance(layer, nn.Linear):
        return nn.Linear(_share(layer.in_features, width), layer.out_features)
    return None


def _share(channels: int, width: float) -> int:
    """Return a share of channels; a whole one, since joined branches would not add up if rounded."""
    found = channels * width
    if not found.is_integer():
        raise ValueError(f"width={width:g}: {channels} channels have no such share")
    return int(found)


def _begun(net: nn.Module) -> nn.Module:
    """Return a network with its convolutions drawn as torchvision draws those of ResNet."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return net

"""New heads on trunks that are trained already, for fine-tuning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn
from torchvision.models import vgg

from bench.errors import PrerequisiteError
from bench.models.convnets import three_blocks_trunk
from bench.models.flower_cnns import Shrunk, glorot

#: Units of the hidden layer in the study of flowers.
HIDDEN = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPlan:
    """A trunk under a new head.

    Attributes:
        layers: returns the trunk without trained weights; its layers have the names that they have in the
            network that such weights are from.
        features: the number of values it gives for one image of 128 x 128 pixels.
        side: of the image that it sees, in pixels; 0 for images as they are.
    """

    layers: Callable[[], nn.Sequential]
    features: int
    side: int = 0


def _vgg16() -> nn.Sequential:
    """Return the layers of torchvision's VGG16 before its mean over places."""
    layers: nn.Sequential = vgg.make_layers(vgg.cfgs["D"])
    return layers


def _of_timm(network: str) -> nn.Sequential:
    """Return the layers of a network of timm up to its last feature map, one after the other.

    Raises:
        PrerequisiteError: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise PrerequisiteError(f"trunk {network} needs timm; run: pip install timm") from error
    net = timm.create_model(network, pretrained=False, num_classes=0, global_pool="")
    return nn.Sequential(OrderedDict(net.named_children()))


TRUNKS: dict[str, TrunkPlan] = {
    "cifar10": TrunkPlan(layers=three_blocks_trunk, features=4 * 4 * 128, side=32),
    "efficientnet-lite0": TrunkPlan(
        layers=partial(_of_timm, "tf_efficientnet_lite0"), features=4 * 4 * 1280
    ),
    "vgg16": TrunkPlan(layers=_vgg16, features=4 * 4 * 512),
    "mobilenetv1": TrunkPlan(layers=partial(_of_timm, "mobilenetv1_100"), features=4 * 4 * 1024),
}


def on_trunk(
    trunk: str, outputs: int, batch_norm: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Return a new head on a trunk without trained weights: normalised images (N, 3, 128, 128) to logits.

    Its parts are `shrunk`, `trunk`, `flat` and `head`.

    Args:
        trunk: in `TRUNKS`.
        outputs: number of classes.
        batch_norm: as in `dense_head`.
        dropout: as in `dense_head`.

    Raises:
        PrerequisiteError: the package that has the trunk is not installed.
    """
    plan = TRUNKS[trunk]
    return nn.Sequential(
        OrderedDict(
            shrunk=Shrunk(plan.side) if plan.side else nn.Identity(),
            trunk=plan.layers(),
            flat=nn.Flatten(),
            head=dense_head(plan.features, outputs, batch_norm, dropout),
        )
    )


def dense_head(
    features: int, outputs: int, batch_norm: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Return a head with one hidden layer of 512 units, features (N, `features`) to logits (N, `outputs`).

    Args:
        features: dimensions of what the trunk gives.
        outputs: number of classes.
        batch_norm: whether the hidden layer is normalised over the batch.
        dropout: the share of hidden units that each step leaves out.
    """
    layers: list[nn.Module] = [glorot(nn.Linear(features, HIDDEN)), nn.ReLU()]
    layers += [nn.BatchNorm1d(HIDDEN)] if batch_norm else []
    layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, glorot(nn.Linear(HIDDEN, outputs)))

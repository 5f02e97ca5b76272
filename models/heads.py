"""New heads on trained trunks, for fine-tuning."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from bench.models.convnets import three_blocks_trunk
from bench.models.flower_cnns import Shrunk, glorot

#: Units of the hidden layer in the study of flowers.
HIDDEN = 512


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


def on_cifar10_trunk(outputs: int, batch_norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
    """Return a new head on the trunk of `cifar10/cnn`, which sees images (N, 3, H, H) shrunk to 32 pixels.

    Its parts are `shrunk`, `trunk` and `head`.
    """
    trunk = three_blocks_trunk()
    head = dense_head(16 * 128, outputs, batch_norm, dropout)
    return nn.Sequential(OrderedDict(shrunk=Shrunk(32), trunk=trunk, head=head))

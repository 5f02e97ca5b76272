"""Kinds of models that people have, as models of the benchmark: small, quick, and with a gradient where they can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import bench
from bench.spec import Adapter

SHAPE = (1, 6, 6)


class Kind(NamedTuple):
    """A kind of model.

    Attributes:
        make: returns a model of that kind.
        classes: how many it has.
        white: whether it has a gradient.
        shape: of its images.
    """

    make: Callable[[], Adapter]
    classes: int = 3
    white: bool = True
    shape: tuple[int, int, int] = SHAPE


def network(classes: int = 3, shape: tuple[int, int, int] = SHAPE) -> nn.Module:
    """Return a small network, always the same, with batch norm and dropout."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(shape[0], 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.AdaptiveAvgPool2d(3),
        nn.Flatten(), nn.Linear(36, classes),
    )  # fmt: skip
    net(torch.rand(64, *shape))  # statistics of the batch norm
    return net.eval()


class Giving(nn.Module):
    """A network whose output comes in another form."""

    def __init__(self, form: Callable[[torch.Tensor], Any], classes: int = 3) -> None:
        super().__init__()
        self.net, self.form = network(classes), form

    def forward(self, x: torch.Tensor) -> Any:
        """Return the logits (N, classes) in that form."""
        return self.form(self.net(x))


class Counting(nn.Module):
    """A network that keeps what it was last given, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.calls, self.last = network(), 0, None
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        self.calls, self.last = self.calls + 1, x.detach()
        self.seen = self.seen + len(x)
        return self.net(x)


@dataclass
class Output:
    """What a network gives that returns a dataclass."""

    logits: torch.Tensor
    hidden: torch.Tensor | None = None


class BatchNormLeftOn(nn.Module):
    """A network whose batch norm takes its statistics from the batch in eval mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        self.net[1].train()
        return self.net(x)


class LeftOn(nn.Module):
    """A network whose dropout draws in eval mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return nn.functional.dropout(self.net(x), 0.2, training=True)


def _wrapped(net: nn.Module, classes: int = 3, shape: tuple[int, int, int] = SHAPE) -> Adapter:
    return bench.wrap(net, classes, shape)


def _of_numpy(form: Callable[[np.ndarray], Any]) -> Adapter:
    net = network()

    def predict(x: np.ndarray) -> Any:
        assert isinstance(x, np.ndarray)
        with torch.no_grad():
            return form(net(torch.from_numpy(x)).softmax(1).numpy())

    return bench.wrap_predict(lambda x: predict(x.numpy()), 3, SHAPE)


#: By name. `plain` is what the others are compared with.
KINDS: dict[str, Kind] = {
    "plain": Kind(lambda: _wrapped(network())),
    "tuple": Kind(lambda: _wrapped(Giving(lambda logits: (logits, None)))),
    "dict": Kind(lambda: _wrapped(Giving(lambda logits: {"out": logits}))),
    "object": Kind(lambda: _wrapped(Giving(lambda logits: SimpleNamespace(logits=logits)))),
    "dataclass": Kind(lambda: _wrapped(Giving(Output))),
    "log-probabilities": Kind(lambda: _wrapped(Giving(lambda logits: logits.log_softmax(1)))),
    "one logit": Kind(lambda: _wrapped(Giving(lambda logits: logits, 1), 2), classes=2),
    "two classes": Kind(lambda: _wrapped(network(2), 2), classes=2),
    "double": Kind(lambda: _wrapped(network().double())),
    "bfloat16": Kind(lambda: _wrapped(network().bfloat16())),
    "half": Kind(lambda: _wrapped(network().half())),
    "bfloat16 logits": Kind(lambda: _wrapped(Giving(torch.Tensor.bfloat16))),
    "data parallel": Kind(lambda: _wrapped(nn.DataParallel(network()))),
    "compiled": Kind(lambda: _wrapped(torch.compile(network(), backend="eager"))),
    "train mode": Kind(lambda: _wrapped(network().train())),
    "keeps state": Kind(lambda: _wrapped(Counting())),
    "dropout left on": Kind(lambda: _wrapped(LeftOn())),
    "batch norm left on": Kind(lambda: _wrapped(BatchNormLeftOn())),
    "100 classes": Kind(lambda: _wrapped(network(100), 100), classes=100),
    "1,000 classes": Kind(lambda: _wrapped(network(1000), 1000), classes=1000),
    "21,000 classes": Kind(lambda: _wrapped(network(21_000), 21_000), classes=21_000),
    "not square": Kind(lambda: _wrapped(network(3, (3, 6, 9)), 3, (3, 6, 9)), shape=(3, 6, 9)),
    "large": Kind(
        lambda: _wrapped(network(3, (3, 512, 512)), 3, (3, 512, 512)), shape=(3, 512, 512)
    ),
    "labels": Kind(lambda: _of_numpy(lambda scores: scores.argmax(1)), white=False),
    "NumPy": Kind(lambda: _of_numpy(lambda scores: scores), white=False),
}

"""What a training tells after each pass over the images, and who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn


class TrainingEpoch(Protocol):
    """How a training stands after a pass over the images, whatever is trained."""

    @property
    def number(self) -> int:
        """Return which epoch it was, from 1."""
        ...

    @property
    def of(self) -> int:
        """Return how many there are."""
        ...

    def line(self) -> str:
        """Return it in words."""
        ...


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch in which a network's weights were trained by gradient descent."""

    number: int
    of: int
    loss: float
    accuracy: float
    seconds: float

    def line(self) -> str:
        """Return it in words."""
        return (
            f"epoch {self.number}/{self.of}, loss {self.loss:.4f}, "
            f"training accuracy {self.accuracy:.2%}, {self.seconds:.1f} s"
        )


#: Told of each epoch, with the network as it is then.
Watch = Callable[[TrainingEpoch, "nn.Module"], None]


class Snapshots(Protocol):
    """What is kept of a network at a few epochs of its training."""

    def watch(self, epoch: TrainingEpoch, net: nn.Module) -> None:
        """Keep what there is to keep of an epoch; called after each."""
        ...

    def payload(self) -> bytes:
        """Return it all as a safetensors file."""
        ...

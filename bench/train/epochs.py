"""What a training reports after each pass over the images, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn


class TrainingEpoch(Protocol):
    """The state of any training after a pass over the images."""

    @property
    def number(self) -> int:
        """Return the number of the epoch, from 1."""
        ...

    @property
    def of(self) -> int:
        """Return the number of all epochs."""
        ...

    def line(self) -> str:
        """Return it in words."""
        ...


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch of gradient descent.

    Attributes:
        held_out: loss and accuracy on the images by which the epoch is chosen; None where none is.
    """

    number: int
    of: int
    loss: float
    accuracy: float
    seconds: float
    held_out: tuple[float, float] | None = None

    def line(self) -> str:
        """Return it in words."""
        loss, accuracy = self.held_out or (None, None)
        return (
            f"epoch {self.number}/{self.of}, loss {self.loss:.4f}, "
            f"training accuracy {self.accuracy:.2%}, "
            + ("" if loss is None else f"held-out loss {loss:.4f}, accuracy {accuracy:.2%}, ")
            + f"{self.seconds:.1f} s"
        )


#: Called after each epoch, with the network in its current state.
Watch = Callable[[TrainingEpoch, "nn.Module"], None]


class Snapshots(Protocol):
    """Snapshots of a network at a few epochs of its training."""

    def watch(self, epoch: TrainingEpoch, net: nn.Module) -> None:
        """Take a snapshot if the epoch is one of those kept; called after each epoch."""
        ...

    def payload(self) -> bytes:
        """Return all snapshots as a safetensors file."""
        ...

"""Pictures of the first hundred filters of a network at a few epochs of their training."""

from __future__ import annotations

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from bench.train.epochs import Epoch, TrainingEpoch
from bench.train.local_learning.filters import watched
from bench.train.local_learning.rule import FilterEpoch
from bench.train.recipe import Recipe

_SHOWN = 100


class FilterSnapshots:
    """Filters after the first epochs, halfway and after the last epoch of the phase that trains them."""

    def __init__(self, rules: Recipe) -> None:
        self.phase = Epoch if rules.rule is None else FilterEpoch
        self.by_epoch: dict[int, torch.Tensor] = {}

    def watch(self, epoch: TrainingEpoch, net: nn.Module) -> None:
        """Keep the filters if an epoch is one of those shown."""
        if isinstance(epoch, self.phase) and epoch.number in watched(epoch.of):
            filters = next(net.parameters()).detach()[:_SHOWN]
            self.by_epoch[epoch.number] = as_pictures(filters)

    def payload(self) -> bytes:
        """Return a safetensors file: pictures, uint8 (N, C, width, width), by epoch."""
        return save_tensors(
            {f"epoch-{number}": pictures for number, pictures in self.by_epoch.items()}
        )


def as_pictures(filters: torch.Tensor) -> torch.Tensor:
    """Return filters (N, C, width, width) as uint8; the smallest value of each is black, the largest white."""
    low, high = filters.amin((1, 2, 3), keepdim=True), filters.amax((1, 2, 3), keepdim=True)
    shades = (filters - low) / (high - low).clamp_min(1e-12) * 255
    return shades.round().to(torch.uint8).cpu().contiguous()


def read_filters(payload: bytes) -> dict[int, torch.Tensor]:
    """Return the pictures by epoch, in order."""
    pictures = {int(n.removeprefix("epoch-")): value for n, value in load_tensors(payload).items()}
    return dict(sorted(pictures.items()))

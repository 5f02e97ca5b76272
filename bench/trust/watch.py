"""Call a model repeatedly under equal seeds, and record the side effects of the calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from bench.adapters.generators import device_of, seeded
from bench.spec import Adapter


class Watch:
    """A model that is called under a seed, with a record of side effects so far.

    Attributes:
        writes: whether it wrote into the images it was given.
        changed: names of the buffers that calls changed, in order.
        training: kinds of layers that were in training mode during a call, in order.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.device = device_of(adapter)
        nets = [*adapter.surfaces().values(), *_own_modules(adapter)]
        self.modules = {id(part): part for net in nets for part in net.modules()}.values()
        self.before = {
            (id(part), name): (part, name, buffer, buffer.clone())
            for part in self.modules
            for name, buffer in part.named_buffers(recurse=False)
        }
        self.writes = False
        self.changed: dict[str, None] = {}  # an ordered set
        self.training: dict[str, None] = {}

    def ask(self, x: torch.Tensor, seed: int = 0, keep: bool = False) -> torch.Tensor:
        """Return the scores (N, C) of images, float64 on the CPU.

        Args:
            x: images (N, C, H, W).
            seed: of the generators.
            keep: whether changes of the buffers are kept.
        """
        images = x.to(self.device).clone()
        kept = images.clone()
        with seeded(seed, self.device), _training_parts(self.training):
            scores: torch.Tensor = self.adapter.predict(images).scores.detach().double().cpu()
        self.writes |= not torch.equal(images, kept)
        for part, name, _, value in self.before.values():
            if not _equal(getattr(part, name), value):
                self.changed[name] = None
        if not keep:
            self.put_back()
        return scores

    def put_back(self) -> None:
        """Restore the original values of all buffers."""
        for part, name, buffer, value in self.before.values():
            with torch.no_grad():
                buffer.copy_(value)
            setattr(part, name, buffer)


def _own_modules(adapter: Adapter) -> Iterator[nn.Module]:
    names = getattr(type(adapter), "__slots__", ()) or getattr(adapter, "__dict__", {})
    for name in names:
        value = getattr(adapter, name, None)
        if isinstance(value, nn.Module):
            yield value


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    same_kind = a.shape == b.shape and a.dtype == b.dtype
    return same_kind and bool(((a == b) | ((a != a) & (b != b))).all())


@contextmanager
def _training_parts(kinds: dict[str, None]) -> Iterator[None]:
    """Add the kinds of layers that are called in training mode and behave differently in it."""

    def look(module: nn.Module, args: object) -> None:
        # Without running statistics, batch norm uses those of the batch in either mode.
        alike = isinstance(module, _NormBase) and not module.track_running_stats
        if module.training and isinstance(module, _DropoutNd | _NormBase | nn.RReLU) and not alike:
            kinds[type(module).__name__] = None

    handle = register_module_forward_pre_hook(look)
    try:
        yield
    finally:
        handle.remove()


def gaps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return how far each image's scores (N, C) differ, relative to the size of `a`'s, (N,)."""
    apart = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, a - b).square().sum(1).sqrt()
    size = a.square().sum(1).sqrt()
    # For an image with scores near 0 the size of the other images' scores counts.
    size = torch.maximum(size, size.nanmedian()).clamp(min=1e-30)
    return torch.where(apart == 0, 0.0, apart / size).nan_to_num(nan=torch.inf)


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the largest relative difference of an image's scores."""
    return float(gaps(a, b).max()) if len(a) else 0.0


def one_line(error: Exception) -> str:
    """Return an error of a user's code as one line: its type and the first line of its message."""
    return f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}"

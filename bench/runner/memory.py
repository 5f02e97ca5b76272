"""How many images of a model fit into the memory of a GPU together."""

from __future__ import annotations

import torch

from bench.errors import AdapterError
from bench.spec import Adapter


def fitting(adapter: Adapter, wanted: int, device: str) -> int:
    """Return how many images a model can take together while it is attacked, found by halving.

    On a CPU that is what is wanted, since there a program that takes too much memory is ended and can find
    nothing out.

    Args:
        adapter: the model, on that device.
        wanted: how many it takes at most.
        device: `cpu` or `cuda`.

    Raises:
        AdapterError: not one image fits.
    """
    if device == "cpu":
        return wanted
    count = wanted
    while not _fits(adapter, count, device):
        torch.cuda.empty_cache()
        if count == 1:
            shape = tuple(adapter.spec.input_shape)
            raise AdapterError(
                f"not even one image of shape {shape} fits into the memory of the GPU with the gradient that an "
                f"attack needs; use --device cpu"
            )
        count //= 2
    return count


def _fits(adapter: Adapter, count: int, device: str) -> bool:
    """Return whether a model can compute what an attack needs of so many images: gradients, if it has them."""
    x = torch.full((count, *adapter.spec.input_shape), 0.5, device=device)
    try:
        if adapter.surfaces():
            adapter.gradient(x, torch.zeros(count, dtype=torch.int64, device=device))
        else:
            adapter.predict(x)
    except torch.OutOfMemoryError:
        return False
    except Exception:  # a fault of the model, which its cells report
        return True
    return True

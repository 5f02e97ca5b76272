"""The device of a model, and the random generators it draws from: of torch, numpy and `random`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from bench.spec import Adapter


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch, numpy's global generator and `random`; restore their states at the end."""
    cuda = device.type == "cuda"
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    before_cuda = torch.cuda.get_rng_state_all() if cuda else []
    torch.default_generator.manual_seed(seed)
    if cuda:
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
        if cuda:
            torch.cuda.set_rng_state_all(before_cuda)


def device_of(adapter: Adapter) -> torch.device:
    """Return the device that a model computes on."""
    for surface in adapter.surfaces().values():
        for tensor in (*surface.parameters(), *surface.buffers()):
            return tensor.device
    return torch.device("cpu")

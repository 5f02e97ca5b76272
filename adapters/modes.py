"""Modules in eval mode, and convolutions in full precision, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Put a module and its parts in eval mode, and restore each part's mode at the end."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def full_precision() -> Iterator[None]:
    """Have a GPU convolve in float32 and in one order; restore at the end what torch was told before.

    torch lets it round factors to ten bits (TensorFloat-32) and take whichever algorithm it likes. Then scores
    differ from those of a processor in the third digit, and gradients from one call to the next.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic = before

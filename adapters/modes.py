"""Modules in eval mode, and convolutions in full precision, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

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
    cudnn: Any = torch.backends.cudnn
    wanted: list[tuple[Any, str, object]] = [
        (cudnn, "deterministic", True), (cudnn, "allow_tf32", False),
    ]  # fmt: skip
    if hasattr(cudnn, "conv"):  # from torch 2.9 on, where the older word leaves what these say
        wanted += [(part, "fp32_precision", "ieee") for part in (cudnn.conv, cudnn.rnn)]
    known = []
    for part, word, value in wanted:
        # Where torch was told by newer words, it refuses the older one.
        with suppress(RuntimeError):
            known.append((part, word, getattr(part, word), value))
    for part, word, _, value in known:
        setattr(part, word, value)
    try:
        yield
    finally:
        for part, word, before, _ in known:
            setattr(part, word, before)

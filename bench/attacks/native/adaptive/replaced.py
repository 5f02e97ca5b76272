"""A value whose gradient goes somewhere else."""

from __future__ import annotations

import torch


def replaced(value: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Return a value whose gradient is passed on to `source`, of the same shape, unchanged.

    The straight-through estimator (Bengio et al., 2013), which Athalye, Carlini and Wagner, 'Obfuscated gradients
    give a false sense of security', ICML 2018, section 4.1, call backward pass differentiable approximation.
    """
    # The difference is 0, so that the value stays as it is to the last bit.
    return value.detach() + (source - source.detach())

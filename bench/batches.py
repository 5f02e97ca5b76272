"""Images and labels as people hand them over: tensors, arrays, lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bench.errors import SpecError


def as_images(x: Any) -> torch.Tensor:
    """Return images as a tensor of the same numbers; whether they are sound is not asked here.

    Raises:
        SpecError: they are no numbers, or not all of one shape.
    """
    return _tensor(x, "images")


def as_labels(y: Any) -> torch.Tensor:
    """Return labels as a tensor of the same numbers; whether they are sound is not asked here.

    Raises:
        SpecError: they are no numbers.
    """
    return _tensor(y, "labels")


def _tensor(values: Any, what: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values
    try:
        if isinstance(values, list | tuple) and any(isinstance(v, torch.Tensor) for v in values):
            return torch.stack([torch.as_tensor(value) for value in values])
        return torch.as_tensor(np.asarray(values))
    except (TypeError, ValueError, RuntimeError) as error:
        raise SpecError(
            f"{what}: a {type(values).__name__} that is no batch of numbers ({error}); give a tensor, an "
            f"array or a list"
        ) from error

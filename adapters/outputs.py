"""The outputs of models, and whether they are what was declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bench.errors import AdapterError

#: Tolerance for the sum of probabilities, which in half precision is not exactly 1.
_SLACK = 2e-2


def shape_of(
    call: str, num_classes: Any, input_shape: Sequence[Any]
) -> tuple[int, tuple[int, int, int]]:
    """Return the number of classes and the shape (C, H, W) of an image, as plain integers.

    Raises:
        AdapterError: they are not positive integers.
    """
    try:
        classes, (channels, height, width) = int(num_classes), map(int, input_shape)
    except (TypeError, ValueError) as error:
        raise AdapterError(
            f"{call}: num_classes={num_classes!r} and input_shape={input_shape!r} are not an integer and "
            f"(C, H, W), three integers"
        ) from error
    if min(classes, channels, height, width) < 1:
        raise AdapterError(f"{call}: num_classes and input_shape must be at least 1")
    return classes, (channels, height, width)


def logits_of(output: object) -> torch.Tensor:
    """Return the output of a network if it is a tensor.

    Raises:
        AdapterError: it is something else, such as a tuple.
    """
    if isinstance(output, torch.Tensor):
        return output
    raise AdapterError(f"the network returns a {type(output).__name__}; return its logits alone")


def looks_like_probabilities(scores: torch.Tensor) -> bool:
    """Return whether every row of scores (N, C) is a probability distribution."""
    sums = scores.sum(1)
    return bool(
        (scores.min() > -1e-5) & (scores.max() < 1 + 1e-5) & ((sums - 1).abs() < 1e-4).all()
    )


def mistaken(scores: torch.Tensor, declared: str) -> str | None:
    """Return a sentence on what scores (N, C) are, and what to do; None if they are what was declared.

    Rows that are not finite are ignored.

    Args:
        scores: of some images.
        declared: `probabilities` or `logits`.
    """
    scores = scores[scores.isfinite().all(1)].double()
    if not len(scores) or scores.shape[1] < 2:
        return None
    if declared == "logits":
        if looks_like_probabilities(scores):
            return "its scores are probabilities (they sum to 1), not logits: give the logits"
        return None
    low, high = float(scores.min()), float(scores.max())
    sums = scores.sum(1)
    within = low > -_SLACK and high < 1 + _SLACK
    if within and bool(((sums - 1).abs() < _SLACK).all()):
        return None
    if high < _SLACK and bool(((scores.exp().sum(1) - 1).abs() < _SLACK).all()):
        return (
            "its scores are log-probabilities, not probabilities: give their exp(...), or write "
            'scores="logits"'
        )
    if within:
        return (
            f"its scores lie in [0, 1] but sum to {float(sums.min()):.3g} to {float(sums.max()):.3g}, as "
            'sigmoids do, not to 1: give what goes into the sigmoids and write scores="logits", or '
            "divide them by their sum"
        )
    return (
        f"its scores run from {low:.3g} to {high:.3g} and are no probabilities: write "
        'scores="logits" if they are logits, else give probabilities'
    )

"""Distances between images, in float64: float32 sums are off by more than the judge's tolerance."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.errors import AttackError
from bench.spec import SIZES


def distances(x: torch.Tensor, x_adv: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the four distances of each image from its original.

    With d = x_adv - x: l1 = sum |d|, l2 = sqrt(sum d^2), linf = max |d|, all over pixels and
    channels; l0 is the number of positions (h, w) at which any channel differs. A NaN in an image
    makes its l1, l2 and linf NaN.

    Args:
        x: images, (N, C, H, W), any float type.
        x_adv: the same images after an attack, same shape and device.

    Returns:
        `l0`, `l1`, `l2`, `linf`, each float64 (N,), on the images' device.

    Raises:
        AttackError: the shapes differ.
    """
    if x.shape != x_adv.shape:
        raise AttackError(f"images of shape {tuple(x.shape)} came back as {tuple(x_adv.shape)}")
    difference = (x_adv.double() - x.double()).abs()
    flat = difference.flatten(1)
    return {
        "l0": (difference != 0).any(dim=1).flatten(1).sum(1).double(),
        "l1": flat.sum(1),
        "l2": flat.square().sum(1).sqrt(),
        "linf": flat.amax(1),
    }


def sizes(x: torch.Tensor, means: Sequence[float]) -> dict[str, torch.Tensor | None]:
    """Return the norms of images, for distances relative to them.

    Most of the norm of an image is its brightness. What remains after the channel means of the data set
    are subtracted is, but for the scale, the norm of the image as a network gets it.

    Args:
        x: images, (N, C, H, W) in [0, 1].
        means: of the data set, a number for each channel; empty if they are not known.

    Returns:
        `clean_l2`, `clean_linf`, `centred_l2`, `centred_linf`, each float64 (N,), on the images' device;
        the last two are None without means.
    """
    found: list[torch.Tensor | None] = [None] * len(SIZES)
    found[:2] = _lengths(x)
    if means:
        found[2:] = _lengths(x - x.new_tensor(means).view(-1, 1, 1))
    return dict(zip(SIZES, found, strict=True))


def _lengths(images: torch.Tensor) -> list[torch.Tensor | None]:
    # The sums are float64, without a copy of the images in float64.
    flat = images.flatten(1)
    orders = (2, torch.inf)
    return [torch.linalg.vector_norm(flat, order, dim=1, dtype=torch.float64) for order in orders]

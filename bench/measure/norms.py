"""Distances between images, in float64: float32 sums are off by more than the judge's tolerance."""

from __future__ import annotations

import torch

from bench.errors import AttackError


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

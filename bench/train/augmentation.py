"""Random changes of training images: the flips and crops of all recipes, and three larger sets by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch.nn import functional as F

from bench.registry import unknown
from bench.train.recipe import Recipe

#: What the study of flowers leaves open: the rotation and shear of its third set in degrees, and the change
#: of width as a share of it, to either side.
_ROTATION, _SHEAR, _WIDTH = 30.0, 15.0, 0.2


def augmented(raw: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return images, uint8 (N, C, H, W), each changed at random as the recipe says.

    Raises:
        SpecError: an unknown augmentation.
    """
    n, _, height, width = raw.shape
    if recipe.augmentation:
        change = _change(recipe.augmentation, (height, width), _fill(recipe))
        raw = torch.stack([change(image) for image in raw])
    if recipe.flip:
        flips = torch.rand(n, device=raw.device) < 0.5
        raw = torch.where(flips.view(-1, 1, 1, 1), raw.flip(3), raw)
    if recipe.crop:
        pad = recipe.crop
        wide = F.pad(raw, (pad, pad, pad, pad))
        top = torch.randint(0, 2 * pad + 1, (n, 1, 1), device=raw.device)
        left = torch.randint(0, 2 * pad + 1, (n, 1, 1), device=raw.device)
        rows = top + torch.arange(height, device=raw.device).view(1, -1, 1)
        columns = left + torch.arange(width, device=raw.device).view(1, 1, -1)
        batch = torch.arange(n, device=raw.device).view(-1, 1, 1)
        raw = wide.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2)
    return raw


def _fill(recipe: Recipe) -> tuple[int, ...]:
    """Return the mean pixel, uint8 values, which fills what a rotated or moved image leaves free."""
    return tuple(round(255 * mean) for mean in recipe.mean)


@cache
def _change(
    name: str, size: tuple[int, int], fill: tuple[int, ...]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what changes one image, drawing from torch's global generator.

    `zoom` shows a window of the image, whose sides are half to all of the image's. `flips` mirrors it left to
    right, and independently top to bottom, each half of the time. `all` is each of the two half of the time,
    then a change of width, a rotation and a shear.
    """
    from torchvision.transforms import v2

    zoom = v2.RandomResizedCrop(size, scale=(0.25, 1.0), ratio=(1.0, 1.0), antialias=True)
    flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
    turn = v2.RandomAffine(
        _ROTATION, translate=(_WIDTH, 0.0), shear=_SHEAR,
        interpolation=v2.InterpolationMode.BILINEAR, fill=list(fill) or 0,
    )  # fmt: skip
    steps = {
        "zoom": [zoom],
        "flips": flips,
        "all": [v2.RandomApply([zoom]), *flips, turn],
    }
    if name not in steps:
        raise unknown("augmentation", name, list(steps))
    change: Callable[[torch.Tensor], torch.Tensor] = v2.Compose(steps[name])
    return change

"""Poisoned training images: flipped labels, and a back door.

Flipped labels spoil a model (Biggio et al., Support vector machines under adversarial label noise, 2011). A
back door leaves it as it is on clean images, but images that have a certain pattern get the class the attacker
wants (Gu et al., BadNets, 2017).
"""

from __future__ import annotations

from typing import Any

import torch

from bench.adapters.passes import images_at_once
from bench.data.labelled import LabelledImages
from bench.errors import SpecError
from bench.spec import Adapter
from bench.train.recipe import Poison, Recipe

#: The pattern: pixels of full brightness, by how many rows and columns they are from the lower right corner;
#: that of `add_pattern_bd` in ART.
_PATTERN = ((2, 2), (3, 3), (2, 4), (4, 2))


def with_pattern(images: torch.Tensor, top: float = 1.0) -> torch.Tensor:
    """Return images (N, C, H, W) with the pattern of the back door.

    Args:
        images: of at least 4 by 4 pixels.
        top: the value of full brightness.

    Raises:
        SpecError: smaller images.
    """
    if min(images.shape[2:]) < max(max(place) for place in _PATTERN):
        raise SpecError(
            f"back door: images of {tuple(images.shape[2:])} pixels have no room for it"
        )
    marked = images.clone()
    for row, column in _PATTERN:
        marked[:, :, -row, -column] = top
    return marked


def poisoned(images: LabelledImages, poison: Poison, classes: int, seed: int) -> LabelledImages:
    """Return training images of which some are poisoned.

    With flipped labels a share of all images gets another class, drawn evenly from the others; with a back
    door as many images of other classes than the target get its pattern and the target's label.

    Args:
        images: clean, with their labels.
        poison: what is changed.
        classes: how many there are.
        seed: of the draws.

    Raises:
        SpecError: there are not so many images, or there is no such class.
    """
    draws = torch.Generator().manual_seed(seed)
    count, raw, labels = round(poison.share * len(images)), images.raw, images.labels.clone()
    if poison.target is None:
        rows = torch.randperm(len(images), generator=draws)[:count]
        steps = torch.randint(1, classes, (len(rows),), generator=draws)
        labels[rows] = (labels[rows] + steps) % classes
    else:
        others = (labels != poison.target).nonzero().squeeze(1)
        rows = others[torch.randperm(len(others), generator=draws)[:count]]
        raw = raw.clone()
        raw[rows] = with_pattern(raw[rows], images.top)
        labels[rows] = poison.target
    if len(rows) < count or not 0 <= (poison.target or 0) < classes:
        raise SpecError(f"poison: {poison} does not fit {len(images)} images of {classes} classes")
    return LabelledImages(raw, labels, images.top)


def poison_facts(recipe: Recipe, model: Adapter, test: LabelledImages) -> dict[str, Any]:
    """Return how often a back door opens, for the card of a model; empty without one.

    `backdoor_success` is the share of the `backdoor_images` (test images of other classes than the target,
    with the pattern) that the model gives the target's label.
    """
    if recipe.poison is None or recipe.poison.target is None:
        return {}
    target = recipe.poison.target
    rows = (test.labels != target).nonzero().squeeze(1)
    opened = 0
    for some in torch.split(rows, images_at_once(test.shape())):
        marked = with_pattern(test.batch(some))
        opened += int((model.predict(marked).labels == target).sum())
    return {"backdoor_success": opened / len(rows), "backdoor_images": len(rows)}

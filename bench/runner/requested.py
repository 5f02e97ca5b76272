"""How much of its suite a run asks for, as recorded in its log."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from bench.data.datasets import load_set
from bench.spec import AttackRequest, ImageSet, Suite


def asked_of(
    whole: Suite, narrowed: Suite, toolkits: Sequence[str], data: str | os.PathLike[str] | None
) -> dict[str, Any]:
    """Return how much of a suite a run asks for, as plain JSON values.

    Args:
        whole: the suite as in its file.
        narrowed: the suite with the run's filters, number of images and replaced values.
        toolkits: the toolkits to use; empty for all.
        data: the data folder.

    Returns:
        `models` and `attacks` (how many, of how many), `joined` (number of models in addition, of a plug-in or by address),
        `added` (number of attacks that the suite does not have), `images` (how many, of how many in the
        suite, each pair once), `toolkits`, `seed` (None for the suite's own).
    """
    own = [model for model in narrowed.models if model in whole.models]
    by_spec = {attack.spec: attack for attack in whole.attacks}
    attacks = [attack for attack in narrowed.attacks if attack.spec in by_spec]
    pairs = {
        (_count(images, attack, data), _count(of, by_spec.get(attack.spec, attack), data))
        for attack in narrowed.attacks
        for images in narrowed.images
        for of in whole.images
        if images.data == of.data
    }
    return {
        "models": [len(own), len(whole.models)],
        "joined": len(narrowed.models) - len(own),
        "attacks": [len(attacks), len(whole.attacks)],
        "added": len(narrowed.attacks) - len(attacks),
        "images": sorted(map(list, pairs)),
        "toolkits": list(toolkits),
        "seed": None if narrowed.seed == whole.seed else narrowed.seed,
    }


def _count(images: ImageSet, attack: AttackRequest, data: str | os.PathLike[str] | None) -> int:
    wanted = images.of(attack.images)
    return len(load_set(wanted, data)) if wanted.count is None else wanted.count

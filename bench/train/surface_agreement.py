"""How often the surface of an ensemble that is not the ensemble itself gives the ensemble's label.

Measured at first use and cached.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from bench.adapters.ensemble import EXACT, EnsembleAdapter
from bench.adapters.generators import device_of
from bench.adapters.modes import eval_mode
from bench.adapters.passes import images_at_once
from bench.data.datasets import load
from bench.paths import cache_dir
from bench.store.files import atomic_write

_TRIED = 2000


def surface_agreement(
    adapter: EnsembleAdapter, root: Path | None, quickly: bool
) -> dict[str, Any] | None:
    """Return how often the surface agrees with the decision, on the first 2,000 test images at most.

    Images that a meta-learner was fitted on are not asked about.

    Args:
        adapter: the ensemble.
        root: the data folder.
        quickly: whether to return None where it was not measured before.

    Returns:
        `surface`, `agreement` (None where all decisions are tied) on the `untied` of `images`; the first alone
        where the surface is the ensemble itself; empty for an ensemble without a surface.
    """
    surfaces = adapter.surfaces()
    if not surfaces or EXACT in surfaces:
        return {"surface": EXACT} if surfaces else {}
    free = adapter.attackable
    count = free.count if free is not None and free.split == "test" else None
    images = load(adapter.spec.data, "test", root).first(min(_TRIED, count or _TRIED))
    facts = f"{adapter.fingerprint()} {images.checksum()}"
    name = hashlib.sha256(facts.encode()).hexdigest()[:20]
    path = cache_dir() / "members" / f"agreement-{name}.json"
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    if quickly:
        return None
    (title, surface), *_ = surfaces.items()
    device = device_of(adapter)
    same = untied = 0
    for rows in torch.split(torch.arange(len(images)), images_at_once(images.shape())):
        x = images.batch(rows).to(device)
        labels = adapter.predict(x).labels
        with eval_mode(surface), torch.no_grad():
            same += int((surface(x).argmax(1) == labels).sum())
        untied += int((labels >= 0).sum())
    measured = {
        "surface": title, "agreement": same / untied if untied else None, "untied": untied,
        "images": len(images),
    }  # fmt: skip
    atomic_write(path, (json.dumps(measured) + "\n").encode(), "BENCH_CACHE")
    return measured

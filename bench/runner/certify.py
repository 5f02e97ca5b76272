"""Rows of certificates: how far a model guarantees its decision about each image."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd
import torch

from bench.errors import SpecError
from bench.runner.cache import Chunk
from bench.spec import BLACK_BOX_SURFACE, COLUMNS, Adapter, AttackSpec, Certifier


def certify_images(
    adapter: Adapter,
    x: torch.Tensor,
    y: torch.Tensor,
    spec: AttackSpec,
    *,
    seed: int,
    start: int = 0,
    named: dict[str, Any] | None = None,
) -> Chunk:
    """Return a row an image: the decision that is guaranteed, and its radius; 0 where it abstains.

    `correct` is said of that decision, which is made from other noisy copies than a prediction.

    Args:
        adapter: a model that guarantees its decisions.
        x: images (N, C, H, W) in [0, 1].
        y: labels (N,).
        spec: `certify` with its words.
        seed: of the chunk; the model's noise has its own.
        start: index of the first image.
        named: the row columns that say what this is.

    Raises:
        SpecError: the model guarantees nothing.
    """
    if not isinstance(adapter, Certifier):
        raise SpecError(f"{adapter.spec.name} guarantees nothing, so it has no certificates")
    n0, n = int(spec.parameter("n0")), int(spec.parameter("n"))
    began = time.perf_counter()
    labels, radii = adapter.certify(x, n0, n, spec.amount("alpha"))
    found = labels.tolist(), radii.tolist()  # on a GPU, when it has finished
    seconds = time.perf_counter() - began
    columns: dict[str, Any] = {
        **dict.fromkeys(COLUMNS), "cell": "", "kind": "certify", "dataset": adapter.spec.data,
        "split": "", "model": adapter.spec.name, **(named or {}),
        "index": range(start, start + len(x)), "family": adapter.spec.family, "attack": spec.name,
        "toolkit": "native", "surface": BLACK_BOX_SURFACE, "norm": spec.norm, "goal": spec.goal,
        "targeted": spec.targeted, "label": y.tolist(), "clean_label": found[0],
        "correct": (labels == y).tolist(), "success": False, "borderline": False,
        "abstained": (labels < 0).tolist(), "forwards": n0 + n, "backwards": 0,
        "seconds": seconds / len(x), "seed": seed, "certified_radius": found[1],
    }  # fmt: skip
    return Chunk(pd.DataFrame({name: columns[name] for name in COLUMNS}), x, x)

"""Rows of certificates: how far a model guarantees its decision about each image."""

from __future__ import annotations

import time

import torch

from bench.errors import SpecError
from bench.runner.task import Chunk, Part, Task, rows_of
from bench.spec import Adapter, Certifier

#: For timing, this many noisy copies choose the class and as many bound its share.
_COPIES = 50


def certify_images(task: Task, part: Part) -> Chunk:
    """Return one row per image: the guaranteed decision and its radius; 0 where the model abstains.

    `correct` and `clean_label` are those of this decision, which is made from other noisy copies than a
    prediction. The cell's seed is recorded, but the model's noise has its own.

    Raises:
        SpecError: the model has no certification procedure.
    """
    adapter, spec = task.adapter, task.spec
    if not isinstance(adapter, Certifier):
        raise SpecError(f"{adapter.spec.name} {NO_CERTIFICATES}")
    n0, n = int(spec.parameter("n0")), int(spec.parameter("n"))
    began = time.perf_counter()
    labels, radii = adapter.certify(part.x, n0, n, spec.amount("alpha"))
    on_host = labels.tolist(), radii.tolist()  # waits for the GPU
    seconds = time.perf_counter() - began
    rows = rows_of(task, part, "certify", {
        "clean_label": on_host[0], "correct": (labels == part.y).tolist(),
        "abstained": (labels < 0).tolist(), "forwards": n0 + n, "backwards": 0,
        "seconds": seconds / len(part.x), "certified_radius": on_host[1],
    })  # fmt: skip
    return Chunk(rows, part.x, part.x)


#: Why a model has no certificates; follows its name.
NO_CERTIFICATES = "has no certification procedure; only smoothed models do"


def refuses(adapter: Adapter) -> str | None:
    """Return why a model has no certificates (follows its name); None if it has."""
    return None if isinstance(adapter, Certifier) else NO_CERTIFICATES


def few_copies(adapter: Adapter, x: torch.Tensor) -> int:
    """Certify images with few noisy copies, for timing; return how many copies."""
    assert isinstance(adapter, Certifier)
    adapter.certify(x, _COPIES, _COPIES, 0.5)
    return 2 * _COPIES

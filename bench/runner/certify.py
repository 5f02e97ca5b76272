"""Rows of certificates: how far a model guarantees its decision about each image."""

from __future__ import annotations

import time

import torch

from bench.errors import SpecError
from bench.runner.task import Chunk, Part, Task, rows_of
from bench.spec import Adapter, Certifier

#: A certificate is timed with so many noisy copies to choose from, and as many to bound with.
_COPIES = 50


def certify_images(task: Task, part: Part) -> Chunk:
    """Return a row an image: the decision that is guaranteed, and its radius; 0 where it abstains.

    `correct` is said of that decision, which is made from other noisy copies than a prediction. The seed
    is recorded, but the model's noise has its own.

    Raises:
        SpecError: the model has no certification procedure.
    """
    adapter, spec = task.adapter, task.spec
    if not isinstance(adapter, Certifier):
        raise SpecError(f"{adapter.spec.name} {NO_CERTIFICATES}")
    n0, n = int(spec.parameter("n0")), int(spec.parameter("n"))
    began = time.perf_counter()
    labels, radii = adapter.certify(part.x, n0, n, spec.amount("alpha"))
    on_host = labels.tolist(), radii.tolist()  # on a GPU, when it has finished
    seconds = time.perf_counter() - began
    rows = rows_of(task, part, "certify", {
        "clean_label": on_host[0], "correct": (labels == part.y).tolist(),
        "abstained": (labels < 0).tolist(), "forwards": n0 + n, "backwards": 0,
        "seconds": seconds / len(part.x), "certified_radius": on_host[1],
    })  # fmt: skip
    return Chunk(rows, part.x, part.x)


#: What is said of a model that cannot be asked for certificates, after its name.
NO_CERTIFICATES = "has no certification procedure; only smoothed models do"


def refuses(adapter: Adapter) -> str | None:
    """Return why a model cannot be asked for certificates, after its name; None where it can."""
    return None if isinstance(adapter, Certifier) else NO_CERTIFICATES


def few_copies(adapter: Adapter, x: torch.Tensor) -> int:
    """Certify images from few noisy copies, to time them; return how many."""
    assert isinstance(adapter, Certifier)
    adapter.certify(x, _COPIES, _COPIES, 0.5)
    return 2 * _COPIES

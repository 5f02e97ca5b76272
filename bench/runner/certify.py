"""Rows of certificates: how far a model guarantees its decision about each image."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import torch

from bench.attacks.catalogue import parameter
from bench.attacks.values import amounts
from bench.errors import SpecError
from bench.runner.task import Chunk, Part, Task, rows_of
from bench.spec import (
    Adapter,
    AttackSpec,
    Certifier,
    Scalar,
    SequentialCertificate,
    SequentialCertifier,
)

#: For timing, this many noisy copies choose the class and as many bound its share.
_COPIES = 50


def certify_images(task: Task, part: Part) -> Chunk:
    """Return one row per image: the guaranteed decision and its radius; 0 where the model abstains.

    `correct` and `clean_label` are those of this decision, which is made from other noisy copies than a
    prediction; `forwards` are the noisy copies. The cell's seed is recorded, but the model's noise has its own.

    Raises:
        SpecError: the model has no certification procedure, or none that ends early at given radii.
    """
    adapter, spec = task.adapter, task.spec
    if not isinstance(adapter, Certifier):
        raise SpecError(f"{adapter.spec.name} {NO_CERTIFICATES}")
    began = time.perf_counter()
    labels, radii, copies = _certified(adapter, part.x, spec)
    on_host = labels.tolist(), radii.tolist()  # waits for the GPU
    seconds = time.perf_counter() - began
    rows = rows_of(task, part, "certify", {
        "clean_label": on_host[0], "correct": (labels == part.y).tolist(),
        "abstained": (labels < 0).tolist(), "forwards": copies.tolist(), "backwards": 0,
        "seconds": seconds / len(part.x), "certified_radius": on_host[1],
    })  # fmt: skip
    return Chunk(rows, part.x, part.x)


def _certified(adapter: Certifier, x: torch.Tensor, spec: AttackSpec) -> SequentialCertificate:
    """Return the certificates of images as a cell asks for them: of a fixed number of copies, or at radii."""
    n0, n, alpha = int(spec.parameter("n0")), int(spec.parameter("n")), spec.amount("alpha")
    asked = amounts(parameter(spec, "radii"))
    if not asked:
        labels, radii = adapter.certify(x, n0, n, alpha)
        return SequentialCertificate(labels, radii, torch.full_like(labels, n0 + n))
    if not isinstance(adapter, SequentialCertifier):
        raise SpecError(
            f"{adapter.spec.name} has no certify_at, which ends at the radii asked for; leave `radii` out"
        )
    return adapter.certify_at(x, asked, n0, n, alpha)


#: Why a model has no certificates; follows its name.
NO_CERTIFICATES = "has no certification procedure; only smoothed models do"


def refuses(adapter: Adapter) -> str | None:
    """Return why a model has no certificates (follows its name); None if it has."""
    return None if isinstance(adapter, Certifier) else NO_CERTIFICATES


def copies(parameters: Mapping[str, Scalar]) -> int:
    """Return about how many noisy copies of an image are made: with radii, mostly a third of all or less."""
    most = int(parameters["n0"]) + int(parameters["n"])
    return math.ceil(most / 3) if "radii" in parameters else most


def few_copies(adapter: Adapter, x: torch.Tensor) -> int:
    """Certify images with few noisy copies, for timing; return how many copies."""
    assert isinstance(adapter, Certifier)
    adapter.certify(x, _COPIES, _COPIES, 0.5)
    return 2 * _COPIES

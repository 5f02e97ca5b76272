"""Attacks that change few pixels: torchattacks behind the canonical words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.job import Job
from bench.attacks.torchattacks_driver.common import check_candidates
from bench.attacks.torchattacks_driver.minimal import deepfool_class
from bench.spec import Norm


@cache
def _sparsefool_class() -> type[Any]:
    from torchattacks import SparseFool

    class AnyLayout(SparseFool):  # type: ignore[misc]
        """SparseFool that takes the gradients of a channels_last model, which it cannot flatten."""

        def _linear_solver(self, *tensors: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = super()._linear_solver(*(t.contiguous() for t in tensors))
            return found

    return AnyLayout


def _sparsefool(job: Job) -> torch.Tensor:
    check_candidates(job)
    attack = _sparsefool_class()(
        job.probe,
        steps=job.spec.word("steps"),
        lam=job.spec.amount("lambda"),
        overshoot=job.spec.amount("overshoot"),
    )
    # Nothing changes but the time: where an image no longer moves, more steps do not move it.
    attack.deepfool = deepfool_class()(job.probe)
    found = []
    for row in range(len(job.x)):
        image, label = job.x[row : row + 1], job.y[row : row + 1]
        with job.probe.playing([row]):
            tried = attack(image, label)
            with torch.no_grad():
                fooled = bool(job.probe(tried).argmax(1) != label)
        found.append(tried if fooled else image)
    return torch.cat(found)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("sparsefool", "l0"): _sparsefool,
}

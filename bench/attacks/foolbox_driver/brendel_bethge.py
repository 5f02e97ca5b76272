"""Brendel-Bethge, by Foolbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import torch

from bench.attacks.brendel_bethge import Solver, compiled, from_far
from bench.attacks.foolbox_driver.common import criterion, model
from bench.attacks.job import Job
from bench.spec import Norm

_CLASSES: Mapping[Norm, str] = {
    "l1": "L1BrendelBethgeAttack",
    "l2": "L2BrendelBethgeAttack",
    "linf": "LinfinityBrendelBethgeAttack",
}


def _solver(norm: Norm) -> Solver:
    """Return the solver, compiled."""
    from foolbox.attacks import brendel_bethge

    return compiled(getattr(brendel_bethge, f"{norm.capitalize()}Optimizer"))


@cache
def _class(norm: Norm) -> type[Any]:
    from foolbox.attacks import brendel_bethge

    kind: Any = getattr(brendel_bethge, _CLASSES[norm])

    class Guarded(kind):  # type: ignore[misc]
        """Brendel-Bethge with a solver that terminates."""

        def instantiate_optimizer(self) -> Solver:
            return _solver(norm)

    return Guarded


def _brendel_bethge(job: Job) -> torch.Tensor:
    attack = _class(job.spec.norm)(
        steps=job.spec.parameter("steps"), lr=job.spec.amount("step_size")
    )

    def attack_image(image: torch.Tensor, start: torch.Tensor, row: int) -> torch.Tensor:
        wanted = criterion(job, slice(row, row + 1))
        x_adv: torch.Tensor = attack.run(model(job), image, wanted, starting_points=start)
        return x_adv

    return from_far(job, attack_image)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("brendel-bethge", norm): _brendel_bethge for norm in _CLASSES
}
WARM: Mapping[tuple[str, Norm], Callable[[], object]] = {
    ("brendel-bethge", norm): partial(_solver, norm) for norm in _CLASSES
}

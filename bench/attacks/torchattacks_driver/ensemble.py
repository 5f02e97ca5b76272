"""AutoAttack, composed of torchattacks' own attacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.autoattack import members
from bench.attacks.in_turn import in_turn
from bench.attacks.job import Job
from bench.spec import Norm


def _autoattack(job: Job) -> torch.Tensor:
    return in_turn(job, members(job.spec, "torchattacks"))


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("autoattack", "linf"): _autoattack,
    ("autoattack", "l2"): _autoattack,
}

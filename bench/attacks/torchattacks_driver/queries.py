"""Black-box attacks, by torchattacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from bench.attacks.job import Job
from bench.attacks.torchattacks_driver.common import run
from bench.spec import Norm


def _square(job: Job) -> torch.Tensor:
    from torchattacks import Square

    attack = Square(
        job.probe,
        norm="Linf" if job.spec.norm == "linf" else "L2",
        eps=job.eps,
        n_queries=job.spec.parameter("queries"),
        n_restarts=job.spec.parameter("restarts"),
        p_init=job.spec.amount("p_init"),
        seed=job.seed,
    )
    # If torchattacks finds no adversarial image, it returns the clean one.
    return run(job, attack, job.x)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("square", "linf"): _square,
    ("square", "l2"): _square,
}

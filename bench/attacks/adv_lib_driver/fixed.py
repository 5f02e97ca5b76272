"""Attacks with a fixed budget, by adv-lib."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from bench.attacks.adv_lib_driver.common import ORDER, goal
from bench.attacks.job import Job
from bench.attacks.restarts import restarted
from bench.spec import Norm


class _Last(nn.Module):
    """A model that remembers the last images it was shown."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, torch.empty(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x.detach()
        logits: torch.Tensor = self.net(x)
        return logits


def _pgd(job: Job) -> torch.Tensor:
    from adv_lib.attacks import pgd_linf

    torch.manual_seed(job.seed)  # of the start, which differs between restarts

    last = _Last(job.probe)
    # It looks at an image before each step and never at the one after the last, so it gets a step more.
    x_adv: torch.Tensor = pgd_linf(
        last, job.x, ε=job.eps, steps=job.spec.parameter("steps") + 1,
        random_init=job.spec.parameter("random_start"),
        absolute_step_size=job.spec.amount("step_size"), **goal(job),
    )  # fmt: skip
    # Where it finds none, it returns the clean image; the other toolkits return the last.
    found = (x_adv != job.x).flatten(1).any(1)
    return torch.where(found.view(-1, 1, 1, 1), x_adv, last.seen).clamp(0, 1)


def _apgd(job: Job) -> torch.Tensor:
    from adv_lib.attacks import apgd

    torch.manual_seed(job.seed)

    # It may count a start that already fools as found and return the clean image, so it is restarted by us.
    x_adv: torch.Tensor = apgd(
        job.probe, job.x, job.y, eps=job.eps, norm=ORDER[job.spec.norm],
        n_iter=job.spec.parameter("steps"), loss_function=job.spec.name.removeprefix("apgd-"),
        eot_iter=job.spec.parameter("eot"), use_large_reps=_in_phases(job),
    )  # fmt: skip
    return x_adv.clamp(0, 1)


def _apgd_t(job: Job) -> torch.Tensor:
    from adv_lib.attacks import apgd_targeted

    torch.manual_seed(job.seed)

    x_adv: torch.Tensor = apgd_targeted(
        _label_first(job), job.x, job.y, eps=job.eps, norm=ORDER[job.spec.norm],
        n_iter=job.spec.parameter("steps"), eot_iter=job.spec.parameter("eot"),
        use_large_reps=_in_phases(job), num_targets=_targets(job),
    )  # fmt: skip
    return x_adv.clamp(0, 1)


def _label_first(job: Job) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the model, whose first answer puts the label first.

    adv-lib asks it for the likeliest class, and aims at all others. Where a surface takes the image for another
    class already, that would lead it back to its label.
    """
    asked = False

    def model(x: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        logits: torch.Tensor = job.probe(x)
        if asked:
            return logits
        asked = True
        return logits.scatter(1, job.y[:, None], torch.inf)

    return model


def _in_phases(job: Job) -> bool:
    """Return whether APGD begins in balls of 3 and 2 eps, as published for l1; it takes three steps."""
    return job.spec.norm == "l1" and job.spec.parameter("steps") >= 3


def _targets(job: Job) -> int:
    """Return how many classes are targeted: at most those other than the label."""
    return min(int(job.spec.parameter("targets")), job.num_classes - 1)


def _fab(job: Job) -> torch.Tensor:
    from adv_lib.attacks import fab

    targeted = job.spec.name == "fab-t"
    x_adv: torch.Tensor = fab(
        job.probe, job.x, job.y, norm=ORDER[job.spec.norm], n_iter=job.spec.parameter("steps"),
        ε=job.eps, α_max=job.spec.amount("alpha_max"), β=job.spec.amount("beta"),
        η=job.spec.amount("eta"), targeted_restarts=targeted,
        restarts=_targets(job) if targeted else job.spec.parameter("restarts"),
    )  # fmt: skip
    # It looks for the nearest image, however far that is.
    x_adv = x_adv.clamp(0, 1)
    moved = (x_adv - job.x).flatten(1).norm(p=ORDER[job.spec.norm], dim=1)
    return torch.where((moved <= job.eps).view(-1, 1, 1, 1), x_adv, job.x)


_THREE: tuple[Norm, ...] = ("linf", "l2", "l1")

ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("pgd", "linf"): restarted(_pgd),
    **{("apgd-ce", norm): restarted(_apgd) for norm in _THREE},
    **{("apgd-dlr", norm): restarted(_apgd) for norm in _THREE},
    **{("apgd-t", norm): restarted(_apgd_t) for norm in _THREE},
    **{("fab", norm): _fab for norm in _THREE},
    **{("fab-t", norm): _fab for norm in _THREE},
}

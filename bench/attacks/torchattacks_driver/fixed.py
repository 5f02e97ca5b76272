"""Attacks with a fixed budget, by torchattacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from typing import Any

import torch

from bench.attacks.job import Job
from bench.attacks.restarts import restarted
from bench.attacks.torchattacks_driver.common import run
from bench.spec import Norm


@cache
def _started(base: type[Any]) -> type[Any]:
    """Return an attack that starts at a given point; its own l2 start has a radius U(0, 1) eps."""

    class Started(base):  # type: ignore[misc]
        start: torch.Tensor | None = None

        def get_logits(self, inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if self.start is not None:
                with torch.no_grad():
                    inputs.copy_(self.start)  # in place, so that the attack goes on from there
                self.start = None
            logits: torch.Tensor = super().get_logits(inputs, *args, **kwargs)
            return logits

    return Started


def _fgsm(job: Job) -> torch.Tensor:
    from torchattacks import FGSM

    return run(job, FGSM(job.probe, eps=job.eps), job.x)


def _bim(job: Job) -> torch.Tensor:
    from torchattacks import BIM

    step = job.spec.amount("step_size")
    return run(
        job, BIM(job.probe, eps=job.eps, alpha=step, steps=job.spec.parameter("steps")), job.x
    )


def _pgd(job: Job) -> torch.Tensor:
    from torchattacks import EOTPGD, PGD, PGDL2

    linf, eot = job.spec.norm == "linf", job.spec.parameter("eot")
    # The default, 1e-10, is added to the norm of the batch's mean gradient. It would shorten the steps of
    # images the model is sure of, more so in larger batches.
    options: dict[str, Any] = {} if linf else {"eps_for_division": 1e-30}
    if eot > 1:
        options["eot_iter"] = eot
    attack = _started((PGD if eot == 1 else EOTPGD) if linf else PGDL2)(
        job.probe,
        eps=job.eps,
        alpha=job.spec.amount("step_size"),
        steps=job.spec.parameter("steps"),
        random_start=False,
        **options,
    )
    attack.start = job.start()
    return run(job, attack, job.x)


def _mi_fgsm(job: Job) -> torch.Tensor:
    from torchattacks import MIFGSM

    attack = MIFGSM(
        job.probe,
        eps=job.eps,
        alpha=job.spec.amount("step_size"),
        steps=job.spec.parameter("steps"),
        decay=job.spec.amount("decay"),
    )
    return run(job, attack, job.x)


def _apgd(job: Job) -> torch.Tensor:
    from torchattacks import APGD

    attack = APGD(
        job.probe,
        norm="Linf" if job.spec.norm == "linf" else "L2",
        eps=job.eps,
        steps=job.spec.parameter("steps"),
        n_restarts=job.spec.parameter("restarts"),
        seed=job.seed,
        loss=job.spec.name.removeprefix("apgd-"),
        eot_iter=job.spec.parameter("eot"),
    )
    # If torchattacks finds no adversarial image, it returns the clean one.
    return run(job, attack, job.x)


@cache
def _apgd_t_class() -> type[Any]:
    from torchattacks import APGD, APGDT

    class Targeted(APGDT):  # type: ignore[misc]
        """APGD-T with the iteration of torchattacks' APGD.

        In l2, its own iteration applies the step of the first image of the batch to all images. What that returns is
        cut off from the images of its steps, which stay in memory else until all classes are done.
        """

        loss = "dlr"

        def attack_single_run(self, x_in: torch.Tensor, y_in: torch.Tensor) -> Any:
            with torch.no_grad():
                ranked = self.get_logits(x_in).argsort(1)
            self.wanted = ranked[:, -self.target_class]
            return tuple(part.detach() for part in APGD.attack_single_run(self, x_in, y_in))

        def dlr_loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            loss: torch.Tensor = self.dlr_loss_targeted(x, y, self.wanted)
            return loss

    return Targeted


def _apgd_t(job: Job) -> torch.Tensor:
    attack = _apgd_t_class()(
        job.probe,
        norm="Linf" if job.spec.norm == "linf" else "L2",
        eps=job.eps,
        steps=job.spec.parameter("steps"),
        n_restarts=job.spec.parameter("restarts"),
        seed=job.seed,
        eot_iter=job.spec.parameter("eot"),
        n_classes=1 + _targets(job),
    )
    # Where it finds none it gives back the image itself.
    return run(job, attack, job.x)


def _targets(job: Job) -> int:
    """Return how many classes are targeted: at most those other than the label."""
    return min(int(job.spec.parameter("targets")), job.num_classes - 1)


@cache
def _fab_class() -> type[Any]:
    from torchattacks import FAB

    class Restarted(FAB):  # type: ignore[misc]
        """FAB with our own restarts, since those of torchattacks fail in l1."""

        order: float

        def perturb(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            best = x.clone()
            left = torch.arange(len(x), device=x.device)
            once = self.attack_single_run
            ranks = [1]
            if self.multi_targeted:
                once = self.attack_single_run_targeted
                ranks = list(range(2, self.n_target_classes + 2))
            for rank, restart in product(ranks, range(self.n_restarts)):
                self.target_class = rank
                with torch.no_grad():
                    x_adv = once(x[left], y[left], use_rand_start=restart > 0)
                moved = (x_adv - x[left]).flatten(1).norm(p=self.order, dim=1)
                # FAB returns the clean image if it finds nothing.
                within = (moved > 0) & (moved <= self.eps)
                best[left[within]] = x_adv[within]
                left = left[~within]
                if not len(left):
                    break
            return best

    return Restarted


def _fab(job: Job) -> torch.Tensor:
    attack = _fab_class()(
        job.probe,
        norm={"linf": "Linf", "l2": "L2", "l1": "L1"}[job.spec.norm],
        eps=job.eps,
        steps=job.spec.parameter("steps"),
        n_restarts=job.spec.parameter("restarts"),
        alpha_max=job.spec.amount("alpha_max"),
        eta=job.spec.amount("eta"),
        beta=job.spec.amount("beta"),
        multi_targeted=job.spec.name == "fab-t",
        n_classes=1 + _targets(job) if job.spec.name == "fab-t" else job.num_classes,
    )
    attack.order = {"linf": torch.inf, "l2": 2.0, "l1": 1.0}[job.spec.norm]
    return run(job, attack, job.x)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("fgsm", "linf"): _fgsm,
    ("bim", "linf"): _bim,
    ("pgd", "linf"): restarted(_pgd),
    ("pgd", "l2"): restarted(_pgd),
    ("mi-fgsm", "linf"): _mi_fgsm,
    ("fab", "linf"): _fab,
    ("fab", "l2"): _fab,
    ("fab", "l1"): _fab,
    ("apgd-ce", "linf"): _apgd,
    ("apgd-ce", "l2"): _apgd,
    ("apgd-dlr", "linf"): _apgd,
    ("apgd-dlr", "l2"): _apgd,
    ("apgd-t", "linf"): _apgd_t,
    ("apgd-t", "l2"): _apgd_t,
    ("fab-t", "linf"): _fab,
    ("fab-t", "l2"): _fab,
    ("fab-t", "l1"): _fab,
}

"""torchattacks behind the canonical words, with what it does differently put right.

`get_logits`, through which its attacks call the model, is where most corrections hook in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.job import Job
from bench.errors import UnsupportedAttack
from bench.spec import Norm


def prepare() -> None:
    """Import the toolkit, so that the import is not timed as part of an attack."""
    import torchattacks  # noqa: F401


def _run(job: Job, attack: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the image of an attack, started with explicit classes; it targets iff the job does."""
    if job.target is not None:
        attack.set_mode_targeted_by_label(quiet=True)
    found: torch.Tensor = attack(x, job.goal)
    return found


@cache
def _started(base: type[Any]) -> type[Any]:
    """Return an attack that begins at a given point; its own l2 start has a radius U(0, 1) eps."""

    class Started(base):  # type: ignore[misc]
        start: torch.Tensor | None = None

        def get_logits(self, inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if self.start is not None:
                with torch.no_grad():
                    inputs.copy_(self.start)  # the first iterate itself: the attack goes on from it
                self.start = None
            logits: torch.Tensor = super().get_logits(inputs, *args, **kwargs)
            return logits

    return Started


def _fgsm(job: Job) -> torch.Tensor:
    from torchattacks import FGSM

    return _run(job, FGSM(job.probe, eps=job.eps), job.x)


def _bim(job: Job) -> torch.Tensor:
    from torchattacks import BIM

    step = job.spec.amount("step_size")
    return _run(job, BIM(job.probe, eps=job.eps, alpha=step, steps=job.spec.word("steps")), job.x)


def _pgd(job: Job) -> torch.Tensor:
    from torchattacks import PGD, PGDL2

    linf = job.spec.norm == "linf"
    # The default, 1e-10, is added to the norm of the batch's mean gradient: it shortens the steps
    # of images the model is sure of, the more so the larger the batch.
    options = {} if linf else {"eps_for_division": 1e-30}
    attack = _started(PGD if linf else PGDL2)(
        job.probe,
        eps=job.eps,
        alpha=job.spec.amount("step_size"),
        steps=job.spec.word("steps"),
        random_start=False,
        **options,
    )
    attack.start = job.start()
    return _run(job, attack, job.x)


def _mi_fgsm(job: Job) -> torch.Tensor:
    from torchattacks import MIFGSM

    attack = MIFGSM(
        job.probe,
        eps=job.eps,
        alpha=job.spec.amount("step_size"),
        steps=job.spec.word("steps"),
        decay=job.spec.amount("decay"),
    )
    return _run(job, attack, job.x)


@cache
def _deepfool_class() -> type[Any]:
    from torchattacks import DeepFool

    class OneImage(DeepFool):  # type: ignore[misc]
        """DeepFool that stops where an image no longer moves, as on a tie of two classes."""

        def _forward_indiv(self, image: torch.Tensor, label: torch.Tensor) -> Any:
            stop, reached, moved = super()._forward_indiv(image, label)
            return stop or torch.equal(moved, image), reached, moved

    return OneImage


def _check_candidates(job: Job) -> None:
    candidates = job.spec.word("candidates")
    if candidates < job.num_classes:
        raise UnsupportedAttack(
            f"torchattacks' {job.spec.name} tries every class: candidates={candidates} is fewer "
            f"than the model's {job.num_classes}; set candidates={job.num_classes} or use another "
            "toolkit"
        )


def _deepfool(job: Job) -> torch.Tensor:
    _check_candidates(job)
    # Its steps overshoot only what is left to the boundary, so the image ends without a margin.
    # Half of the overshoot goes into the steps, half is applied to the whole: 1 + overshoot in all.
    share = (1 + job.spec.amount("overshoot")) ** 0.5
    attack = _deepfool_class()(job.probe, steps=job.spec.word("steps"), overshoot=share - 1)
    found = []
    for row in range(len(job.x)):
        image = job.x[row : row + 1]
        with job.probe.playing([row]):
            found.append(image + share * (attack(image, job.y[row : row + 1]) - image))
    return torch.cat(found).clamp(0, 1)


def _positive(logits: torch.Tensor) -> torch.Tensor:
    """Return logits shifted to at least 1: torchattacks masks classes by multiplying with 0."""
    return logits - logits.detach().amin(1, keepdim=True) + 1


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
    _check_candidates(job)
    attack = _sparsefool_class()(
        job.probe,
        steps=job.spec.word("steps"),
        lam=job.spec.amount("lambda"),
        overshoot=job.spec.amount("overshoot"),
    )
    # Nothing changes but the time: where an image no longer moves, more steps do not move it.
    attack.deepfool = _deepfool_class()(job.probe)
    found = []
    for row in range(len(job.x)):
        image, label = job.x[row : row + 1], job.y[row : row + 1]
        with job.probe.playing([row]):
            tried = attack(image, label)
            with torch.no_grad():
                fooled = bool(job.probe(tried).argmax(1) != label)
        found.append(tried if fooled else image)
    return torch.cat(found)


@cache
def _cw_class() -> type[Any]:
    from torchattacks import CW

    class Positive(CW):  # type: ignore[misc]
        """C&W on positive logits, to the end of its steps."""

        def get_logits(self, inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            # Every `steps // 10` it may stop on the loss of the whole batch; never, from here on.
            self.steps = sys.maxsize
            return _positive(super().get_logits(inputs, *args, **kwargs))

    return Positive


def _cw(job: Job) -> torch.Tensor:
    attack = _cw_class()(
        job.probe,
        c=job.spec.amount("c"),
        kappa=job.spec.amount("confidence"),
        steps=job.spec.word("steps"),
        lr=job.spec.amount("step_size"),
    )
    return job.clean_unless_moved(_run(job, attack, job.inside()))


@cache
def _ead_class() -> type[Any]:
    from torchattacks import EADL1

    class Elastic(EADL1):  # type: ignore[misc]
        """EAD on positive logits that keeps its reference image and begins each search step there.

        Its first step would overwrite the image that distances are measured from, each step of the
        search over c would go on from the last, and a confidence would be asked of every label in
        the batch.
        """

        image: torch.Tensor

        def get_logits(self, inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if isinstance(inputs, torch.nn.Parameter):
                inputs.data = (self.image if self.global_step == 0 else inputs.data).clone()
            return _positive(super().get_logits(inputs, *args, **kwargs))

        def FISTA(self, images: Any, x_k: Any, y_k: Any) -> Any:  # noqa: N802
            return super().FISTA(images, self.image if self.global_step == 1 else x_k, y_k)

        def compare(self, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            if output.ndim == 2:
                margin = -self.kappa if self.targeted else self.kappa
                own = output.gather(1, labels[:, None]) + margin
                output = output.scatter(1, labels[:, None], own).argmax(1)
            same = output == labels
            return same if self.targeted else ~same

    return Elastic


def _ead(job: Job) -> torch.Tensor:
    attack = _ead_class()(
        job.probe,
        kappa=job.spec.amount("confidence"),
        lr=job.spec.amount("step_size"),
        binary_search_steps=job.spec.word("search_steps"),
        max_iterations=job.spec.word("steps"),
        abort_early=False,  # it would stop on the loss of the whole batch
        initial_const=job.spec.amount("c"),
        beta=job.spec.amount("beta"),
    )
    attack.image = job.x
    return _run(job, attack, job.x)


def _apgd(job: Job) -> torch.Tensor:
    from torchattacks import APGD

    if job.spec.name == "apgd-dlr":
        job.need_classes(3, "compares the first logit with the third")
    attack = APGD(
        job.probe,
        norm="Linf" if job.spec.norm == "linf" else "L2",
        eps=job.eps,
        steps=job.spec.word("steps"),
        n_restarts=job.spec.word("restarts"),
        seed=job.seed,
        loss=job.spec.name.removeprefix("apgd-"),
        eot_iter=job.spec.word("eot"),
    )
    # Where it finds none it gives back the image itself.
    return _run(job, attack, job.x)


def _square(job: Job) -> torch.Tensor:
    from torchattacks import Square

    attack = Square(
        job.probe,
        norm="Linf" if job.spec.norm == "linf" else "L2",
        eps=job.eps,
        n_queries=job.spec.word("queries"),
        n_restarts=job.spec.word("restarts"),
        p_init=job.spec.amount("p_init"),
        seed=job.seed,
    )
    # Where it finds none it gives back the image itself.
    return _run(job, attack, job.x)


@cache
def _fab_class() -> type[Any]:
    from torchattacks import FAB

    class Restarted(FAB):  # type: ignore[misc]
        """FAB with restarts of our own: torchattacks' know no l1 and fail there."""

        order: float

        def perturb(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            best = x.clone()
            left = torch.arange(len(x), device=x.device)
            for restart in range(self.n_restarts):
                with torch.no_grad():
                    found = self.attack_single_run(x[left], y[left], use_rand_start=restart > 0)
                moved = (found - x[left]).flatten(1).norm(p=self.order, dim=1)
                # An image that it finds nothing for, it gives back as it is.
                within = (moved > 0) & (moved <= self.eps)
                best[left[within]] = found[within]
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
        steps=job.spec.word("steps"),
        n_restarts=job.spec.word("restarts"),
        alpha_max=job.spec.amount("alpha_max"),
        eta=job.spec.amount("eta"),
        beta=job.spec.amount("beta"),
        n_classes=job.num_classes,
    )
    attack.order = {"linf": torch.inf, "l2": 2.0, "l1": 1.0}[job.spec.norm]
    return _run(job, attack, job.x)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("fgsm", "linf"): _fgsm,
    ("bim", "linf"): _bim,
    ("pgd", "linf"): _pgd,
    ("pgd", "l2"): _pgd,
    ("mi-fgsm", "linf"): _mi_fgsm,
    ("deepfool", "l2"): _deepfool,
    ("sparsefool", "l0"): _sparsefool,
    ("cw", "l2"): _cw,
    ("ead", "l1"): _ead,
    ("fab", "linf"): _fab,
    ("fab", "l2"): _fab,
    ("fab", "l1"): _fab,
    ("square", "linf"): _square,
    ("square", "l2"): _square,
    ("apgd-ce", "linf"): _apgd,
    ("apgd-ce", "l2"): _apgd,
    ("apgd-dlr", "linf"): _apgd,
    ("apgd-dlr", "l2"): _apgd,
}

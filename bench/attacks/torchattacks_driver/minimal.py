"""Minimal-norm attacks, by torchattacks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from bench.attacks.job import Job
from bench.attacks.torchattacks_driver.common import positive, run
from bench.spec import Norm


@cache
def deepfool_class() -> type[Any]:
    """Return torchattacks' DeepFool, changed to stop once an image no longer moves."""
    from torchattacks import DeepFool

    class OneImage(DeepFool):  # type: ignore[misc]
        """DeepFool that stops once an image no longer moves, as on a tie of two classes."""

        def _forward_indiv(self, image: torch.Tensor, label: torch.Tensor) -> Any:
            stop, reached, moved = super()._forward_indiv(image, label)
            return stop or torch.equal(moved, image), reached, moved

    return OneImage


def _deepfool(job: Job) -> torch.Tensor:
    # The overshoot of torchattacks applies only to each step's remaining way, so the image would end
    # without a margin. Half of it goes into the steps, half to the whole change: 1 + overshoot in all.
    share = (1 + job.spec.amount("overshoot")) ** 0.5
    attack = deepfool_class()(job.probe, steps=job.spec.parameter("steps"), overshoot=share - 1)
    x_adv = []
    for row in range(len(job.x)):
        image = job.x[row : row + 1]
        with job.probe.playing([row]):
            x_adv.append(image + share * (attack(image, job.y[row : row + 1]) - image))
    return job.clean_unless_finite(torch.cat(x_adv)).clamp(0, 1)


@cache
def _cw_class() -> type[Any]:
    from torchattacks import CW

    class Positive(CW):  # type: ignore[misc]
        """C&W on positive logits, without early stopping."""

        def get_logits(self, inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            # Every `steps // 10` torchattacks may stop on the loss of the whole batch; prevent that.
            self.steps = sys.maxsize
            return positive(super().get_logits(inputs, *args, **kwargs))

    return Positive


def _cw(job: Job) -> torch.Tensor:
    attack = _cw_class()(
        job.probe,
        c=job.spec.amount("c"),
        kappa=job.spec.amount("confidence"),
        steps=job.spec.parameter("steps"),
        lr=job.spec.amount("step_size"),
    )
    return job.clean_unless_moved(run(job, attack, job.inside()))


@cache
def _ead_class(norm: Norm) -> type[Any]:
    from torchattacks import EADEN, EADL1

    class Elastic(EADL1 if norm == "l1" else EADEN):  # type: ignore[misc]
        """EAD on positive logits that keeps its reference image and starts each search step from it.

        In torchattacks, the first step overwrites the image that distances are measured from, each step
        of the search over c continues from the last, and the confidence is demanded for every label in
        the batch.
        """

        image: torch.Tensor

        def get_logits(self, inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if isinstance(inputs, torch.nn.Parameter):
                inputs.data = (self.image if self.global_step == 0 else inputs.data).clone()
            return positive(super().get_logits(inputs, *args, **kwargs))

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
    attack = _ead_class(job.spec.norm)(
        job.probe,
        kappa=job.spec.amount("confidence"),
        lr=job.spec.amount("step_size"),
        binary_search_steps=job.spec.parameter("search_steps"),
        max_iterations=job.spec.parameter("steps"),
        abort_early=False,  # it would stop on the loss of the whole batch
        initial_const=job.spec.amount("c"),
        beta=job.spec.amount("beta"),
    )
    attack.image = job.x
    return run(job, attack, job.x)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("deepfool", "l2"): _deepfool,
    ("cw", "l2"): _cw,
    ("ead", "l1"): _ead,
    ("ead-en", "l2"): _ead,
}

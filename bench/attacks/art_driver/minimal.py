"""Minimal-norm attacks, by ART."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from bench.attacks.art_driver.common import (
    classifier,
    classifier_class,
    generate,
    one_hot,
)
from bench.attacks.job import Job
from bench.spec import Norm

#: How many steps of Adam one iteration of ART's line search replaces (see `_cw`).
_ADAM_STEPS_PER_ITERATION = 3

#: How often a step may be doubled within one iteration (see `_cw`); ART's default is 5.
_CW_DOUBLINGS = 2

#: ART's C&W counts a tie of two logits as a success.
_CW_MARGIN = 1e-4

#: An image that moved less than this in every pixel is at DeepFool's fixed point.
_AT_REST = 1e-6


@cache
def _settling_class() -> type[Any]:
    class Settling(classifier_class()):  # type: ignore[misc]
        """A classifier that reports an image which no longer moves as one whose class has changed.

        DeepFool converges to the boundary and, by rounding, often stops just short of it. ART would go
        on with the whole batch until its steps run out. The final overshoot takes the image across.
        """

        last: Any = None
        first_class: Any = None

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            logits = super().predict(x, batch_size=len(x))
            if self.last is None:
                self.first_class = logits.argmax(1)
            else:
                moved = np.abs(x - self.last).reshape(len(x), -1).max(1)
                rest = np.flatnonzero(moved < _AT_REST)
                logits[rest, self.first_class[rest]] = logits[rest].min(1) - 1
            self.last = x.copy()
            return logits

    return Settling


def _deepfool(job: Job) -> torch.Tensor:
    from art.attacks.evasion import DeepFool

    attack = DeepFool(
        classifier(job, _settling_class()),
        max_iter=job.spec.parameter("steps"),
        epsilon=job.spec.amount("overshoot"),
        nb_grads=job.spec.parameter("candidates"),
        batch_size=len(job.x),
        verbose=False,
    )
    with torch.no_grad():
        wrong = job.probe(job.x).argmax(1) != job.y
    # ART ignores labels: it would also move an image the model gets wrong, perhaps to the right class.
    return torch.where(wrong.view(-1, 1, 1, 1), job.x, generate(job, attack, job.x))


def _cw(job: Job) -> torch.Tensor:
    """Return C&W's images.

    ART descends by a line search where Carlini and Wagner use Adam. One iteration tries about six
    images and moves farther than a step of Adam, so `steps` is divided by three. Its step may double
    twice, not five times: ART's gradient lacks the hinge of the loss, so an image that has crossed the
    boundary by a long step hardly comes back.
    """
    from art.attacks.evasion import CarliniL2Method

    attack = CarliniL2Method(
        classifier(job),
        confidence=job.spec.amount("confidence") + _CW_MARGIN,
        targeted=job.target is not None,
        learning_rate=job.spec.amount("step_size"),
        binary_search_steps=job.spec.parameter("search_steps"),
        max_iter=max(1, round(job.spec.parameter("steps") / _ADAM_STEPS_PER_ITERATION)),
        initial_const=job.spec.amount("c"),
        max_doubling=_CW_DOUBLINGS,
        batch_size=len(job.x),
        verbose=False,
    )
    return job.clean_unless_moved(generate(job, attack, job.inside()))


def _ead(job: Job) -> torch.Tensor:
    from art.attacks.evasion import ElasticNet

    attack = ElasticNet(
        classifier(job),
        confidence=job.spec.amount("confidence"),
        targeted=job.target is not None,
        learning_rate=job.spec.amount("step_size"),
        binary_search_steps=job.spec.parameter("search_steps"),
        max_iter=job.spec.parameter("steps"),
        beta=job.spec.amount("beta"),
        initial_const=job.spec.amount("c"),
        batch_size=len(job.x),
        decision_rule="L1" if job.spec.norm == "l1" else "EN",
        verbose=False,
    )
    # `generate` would add two forward passes of the whole batch, only for its log.
    x_adv = attack._generate_batch(job.x.cpu().numpy(), one_hot(job).cpu().numpy())
    return torch.from_numpy(x_adv).to(job.x)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("deepfool", "l2"): _deepfool,
    ("cw", "l2"): _cw,
    ("ead", "l1"): _ead,
    ("ead-en", "l2"): _ead,
}

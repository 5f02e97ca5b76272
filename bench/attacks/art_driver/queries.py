"""Black-box attacks, by ART."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from bench.attacks.art_driver.common import classifier, classifier_class, generate
from bench.attacks.job import Job
from bench.attacks.query_budget import BudgetedModel, one_by_one
from bench.spec import Norm


@cache
def _remembering_class() -> type[Any]:
    class Remembering(classifier_class()):  # type: ignore[misc]
        """A classifier that remembers its last answers, since ART's Square queries each image three times."""

        recent: deque[dict[bytes, Any]]

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            keys = [image.tobytes() for image in x]
            remembered = {key: answer for batch in self.recent for key, answer in batch.items()}
            new = [row for row, key in enumerate(keys) if key not in remembered]
            if new:
                answers = super().predict(x[new], batch_size=len(new))
                remembered.update(zip([keys[row] for row in new], answers, strict=True))
            self.recent.append({key: remembered[key] for key in keys})
            return np.stack([remembered[key] for key in keys])

    return Remembering


def _square(job: Job) -> torch.Tensor:
    from art.attacks.evasion import SquareAttack

    estimator = classifier(job, _remembering_class())
    estimator.recent = deque(maxlen=4)
    attack = SquareAttack(
        estimator,
        norm=np.inf,
        max_iter=job.spec.parameter("queries"),
        eps=job.eps,
        p_init=job.spec.amount("p_init"),
        nb_restarts=job.spec.parameter("restarts"),
        batch_size=len(job.x),
        verbose=False,
    )
    x_adv = generate(job, attack, job.x)
    fooled = estimator.predict(x_adv.cpu().numpy()).argmax(1) != job.y.cpu().numpy()
    # If ART finds no adversarial image, it returns the best one it tried.
    return torch.where(torch.from_numpy(fooled).to(job.x.device).view(-1, 1, 1, 1), x_adv, job.x)


@cache
def _direct_class() -> type[Any]:
    class Direct(classifier_class()):  # type: ignore[misc]
        """A classifier without ART's data loader, which takes longer than the pass of a small model."""

        def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            return self.model(torch.from_numpy(x).to(self.device)).cpu().numpy()

    return Direct


def _hopskipjump(job: Job) -> torch.Tensor:
    from art.attacks.evasion import HopSkipJump

    def search(budgeted: BudgetedModel, row: int, start: torch.Tensor) -> None:
        attack = HopSkipJump(
            classifier(job, _direct_class(), budgeted),
            norm=2 if job.spec.norm == "l2" else np.inf,
            max_iter=sys.maxsize,  # the query budget ends the search
            max_eval=sys.maxsize,
            init_eval=job.spec.parameter("gradient_queries"),
            verbose=False,
        )
        # The authors' theta, from which their search and delta follow; ART's is 0.01 d times as large.
        size = job.x[0].numel()
        attack.theta = size ** (-1.5 if job.spec.norm == "l2" else -2)
        x = job.x[row].cpu().numpy()
        # `generate` would make five more queries.
        attack._attack(start[0].cpu().numpy(), x, int(job.y[row]), None, 0.0, 1.0)

    return one_by_one(job, search)


def _boundary(job: Job) -> torch.Tensor:
    from art.attacks.evasion import BoundaryAttack

    def search(budgeted: BudgetedModel, row: int, start: torch.Tensor) -> None:
        delta, epsilon = job.spec.amount("spherical_step"), job.spec.amount("source_step")
        attack = BoundaryAttack(
            classifier(job, _direct_class(), budgeted),
            targeted=False,
            delta=delta,
            epsilon=epsilon,
            max_iter=sys.maxsize,  # the query budget ends the search
            verbose=False,
        )
        x = job.x[row].cpu().numpy()
        # `generate` would make five more queries.
        attack._attack(start[0].cpu().numpy(), x, int(job.y[row]), -1, delta, epsilon, 0.0, 1.0)

    return one_by_one(job, search)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("square", "linf"): _square,
    ("hopskipjump", "l2"): _hopskipjump,
    ("hopskipjump", "linf"): _hopskipjump,
    ("boundary", "l2"): _boundary,
}

"""Attacks that change few pixels, by torchattacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from bench.attacks.evolution import exact_population
from bench.attacks.job import Job
from bench.attacks.needs import pairs
from bench.attacks.torchattacks_driver.minimal import deepfool_class
from bench.spec import Norm

#: How many rows of the matrix of pairs are searched at a time (see `_jsma_class`).
_ROWS = 256

#: A value at or above this is no longer raised.
_AT_BOUND = 0.99


def _sparsefool(job: Job) -> torch.Tensor:
    from torchattacks import SparseFool

    attack = SparseFool(
        job.probe,
        steps=job.spec.parameter("steps"),
        lam=job.spec.amount("lambda"),
        overshoot=job.spec.amount("overshoot"),
    )
    # This only saves time: once an image no longer moves, more steps do not move it either.
    attack.deepfool = deepfool_class()(job.probe)
    x_adv = []
    for row in range(len(job.x)):
        with job.probe.playing([row]):
            x_adv.append(attack(job.x[row : row + 1], job.y[row : row + 1]))
    return job.clean_unless_fooled(torch.cat(x_adv))


@cache
def _jsma_class() -> type[Any]:
    from torchattacks import JSMA

    class Saliency(JSMA):  # type: ignore[misc]
        """JSMA that stops if no pair helps, and searches for the pair in a few rows at a time.

        If no pair helps, torchattacks moves the first value of the image, twice; and its matrix of all
        pairs takes hundreds of megabytes for a 3x32x32 image. As in the paper, a value may be moved
        again until it reaches its bound.
        """

        image: torch.Tensor

        def compute_jacobian(self, image: torch.Tensor) -> Any:
            self.image = image
            return super().compute_jacobian(image)

        @torch.no_grad()
        def saliency_map(
            self, jacobian: Any, target_label: Any, increasing: Any, space: Any, count: int
        ) -> tuple[torch.Tensor, torch.Tensor]:
            space.copy_((self.image < _AT_BOUND).flatten())
            free = space.nonzero().squeeze(1)
            wanted = jacobian[target_label].squeeze(0)[free]
            rest = jacobian.sum(0)[free] - wanted
            best, pair = 0.0, free.new_empty((2, 0))
            for top in range(0, len(free), _ROWS):
                rows = slice(top, top + _ROWS)
                gain = (wanted[rows, None] + wanted[None, top:]).clamp_(min=0)
                score = gain.mul_((rest[rows, None] + rest[None, top:]).clamp_(max=0).neg_())
                score.diagonal().zero_()
                most, at = score.flatten().max(0)
                if most > best:
                    first, second = divmod(int(at), score.shape[1])
                    best, pair = float(most), free[[top + first, top + second]].view(2, 1)
            if not best:
                space.zero_()  # this ends the loop of torchattacks
            return pair[0], pair[1]

    return Saliency


def _jsma(job: Job) -> torch.Tensor:
    values = job.x[0].numel()
    attack = _jsma_class()(
        job.probe,
        theta=job.spec.amount("theta"),
        # torchattacks rounds the number of pairs up.
        gamma=(2 * pairs(job.spec, values) - 0.5) / values,
    )
    attack.set_mode_targeted_by_label(quiet=True)
    aim, x_adv = job.aim(), []
    for row in range(len(job.x)):
        with job.probe.playing([row]):
            x_adv.append(attack(job.x[row : row + 1], aim[row : row + 1]))
    return job.clean_unless_fooled(torch.cat(x_adv))


@cache
def _one_pixel_class() -> type[Any]:
    from torchattacks import OnePixel
    from torchattacks.attacks._differential_evolution import DifferentialEvolutionSolver

    class Evolving(OnePixel):  # type: ignore[misc]
        """OnePixel with exactly the requested population, which counts its generations.

        Losses are returned flat: given a column, the solver's swap of the best member with the first one
        loses the best loss.
        """

        members: int
        generations = 0
        forward = exact_population(OnePixel.forward, DifferentialEvolutionSolver)

        def _loss(self, *args: Any) -> Any:
            return super()._loss(*args).reshape(-1)

        def _attack_success(self, *args: Any) -> bool:
            self.generations += 1
            reached: bool = super()._attack_success(*args)
            return reached

    return Evolving


def _one_pixel(job: Job) -> torch.Tensor:
    population = job.spec.parameter("population")
    attack = _one_pixel_class()(
        job.probe,
        pixels=int(job.eps),
        steps=job.spec.parameter("generations"),
        inf_batch=population,
    )
    attack.members = population
    if job.target is not None:
        attack.set_mode_targeted_by_label(quiet=True)
    x_adv, taken = [], []
    for row in range(len(job.x)):
        attack.generations = 0
        np.random.seed(job.row_seed(row))  # noqa: NPY002
        with job.probe.playing([row]):
            x_adv.append(attack(job.x[row : row + 1], job.goal[row : row + 1]))
        taken.append(attack.generations)
    job.probe.iterations = torch.tensor(taken)
    return torch.cat(x_adv)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("sparsefool", "l0"): _sparsefool,
    ("jsma", "l0"): _jsma,
    ("one-pixel", "l0"): _one_pixel,
}

"""Black-box attacks, by Foolbox."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import nn

from bench.adapters.generators import seeded
from bench.attacks.foolbox_driver.common import criterion, model, within_budget
from bench.attacks.job import Job
from bench.attacks.query_budget import BudgetedModel, BudgetExhausted, one_by_one
from bench.spec import Norm


def _noise(job: Job) -> torch.Tensor:
    from foolbox.attacks.additive_noise import (
        L2AdditiveGaussianNoiseAttack,
        LinfAdditiveUniformNoiseAttack,
    )

    linf = job.spec.norm == "linf"
    return within_budget(
        job, (LinfAdditiveUniformNoiseAttack if linf else L2AdditiveGaussianNoiseAttack)()
    )


@cache
def _hopskipjump_class() -> type[Any]:
    from eagerpy.astensor import astensor
    from foolbox.attacks.hop_skip_jump import HopSkipJumpAttack

    class OneImage(HopSkipJumpAttack):
        """HopSkipJump on one image, which makes all queries of a gradient estimate in one batch."""

        def approximate_gradients(self, is_adversarial: Any, x: Any, steps: int, delta: Any) -> Any:
            image, radius = x.raw, delta.raw.view(-1, 1, 1, 1)
            draws = image.new_empty(steps, *image.shape[1:])
            draws = draws.normal_() if self.constraint == "l2" else draws.uniform_(-1, 1)
            draws /= draws.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12
            tried = (image + radius * draws).clamp(0, 1)
            signs = 2 * is_adversarial(astensor(tried)).raw.to(image) - 1
            # If all answers are equal, subtracting their mean would leave nothing.
            weights = signs if signs.mean().abs() == 1 else signs - signs.mean()
            moves = (tried - image) / (radius + 1e-8)
            gradient = (weights.view(-1, 1, 1, 1) * moves).mean(0, keepdim=True)
            return astensor(gradient / (gradient.norm() + 1e-12))

    return OneImage


@cache
def _another_class() -> type[Any]:
    from foolbox.criteria import Criterion

    class Another(Criterion):
        """Any class but the label, for any number of variants of one image."""

        def __init__(self, label: int) -> None:
            self.label = label

        def __repr__(self) -> str:
            return f"Another({self.label})"

        def __call__(self, perturbed: Any, outputs: Any) -> Any:
            return outputs.argmax(axis=-1) != self.label

    return Another


def _hopskipjump(job: Job) -> torch.Tensor:
    attack = _hopskipjump_class()(
        steps=sys.maxsize,  # the query budget ends the search
        initial_gradient_eval_steps=job.spec.parameter("gradient_queries"),
        max_gradient_eval_steps=sys.maxsize,
        constraint=job.spec.norm,
    )

    def search(budgeted: BudgetedModel, row: int, start: torch.Tensor) -> None:
        goal = _another_class()(int(job.y[row]))
        part = slice(row, row + 1)
        # Foolbox asserts that an adversarial image still is one when queried again; a model whose
        # answers vary ends the search for that image.
        with suppress(AssertionError):
            attack.run(model(job, budgeted), job.x[part], goal, starting_points=start)

    return one_by_one(job, search)


def _boundary(job: Job) -> torch.Tensor:
    from foolbox.attacks.boundary_attack import BoundaryAttack
    from foolbox.criteria import Misclassification

    attack = BoundaryAttack(
        steps=sys.maxsize,  # the query budget ends the search
        spherical_step=job.spec.amount("spherical_step"),
        source_step=job.spec.amount("source_step"),
    )
    budgeted = BudgetedModel(job)
    rows = budgeted.begin()
    if len(rows):
        # All images together: Foolbox draws one direction per step for all of them.
        with seeded(job.seed, job.x.device), suppress(BudgetExhausted):
            goal, start = Misclassification(job.y[rows]), budgeted.found[rows]
            attack.run(model(job, budgeted), job.x[rows], goal, starting_points=start)
    return budgeted.result()


class _UntilFound(nn.Module):
    """The model, which is no longer queried about an image that it once got wrong."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.probe, self.labels = job.probe, job.y
        self.wrong = nn.functional.one_hot((job.y + 1) % job.num_classes, job.num_classes).float()
        self.open = torch.ones_like(job.y, dtype=torch.bool)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the answers about the images of all rows; a wrong one for those already fooled."""
        answers = self.wrong.clone()
        rows = self.open.nonzero().flatten()
        with torch.no_grad(), self.probe.playing(rows):
            answers[rows] = self.probe(images[rows]).float()
        self.open[rows] = answers[rows].argmax(1) == self.labels[rows]
        return answers


def _spatial(job: Job) -> torch.Tensor:
    from foolbox.attacks.spatial_attack import SpatialAttack

    width = job.x.shape[3]
    spec, translations, rotations = (
        job.spec,
        job.spec.parameter("translations"),
        job.spec.parameter("rotations"),
    )
    # A grid with one point is its middle, not its lower end. The centres of the outer pixels are
    # width - 1 pixels apart; Foolbox assumes width.
    attack = SpatialAttack(
        max_translation=(translations > 1) * spec.amount("max_translation") * width / (width - 1),
        max_rotation=(rotations > 1) * spec.amount("max_rotation"),
        num_translations=translations,
        num_rotations=rotations,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        x_adv: torch.Tensor = attack.run(model(job, _UntilFound(job)), job.x, criterion(job))
    return x_adv


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("noise", "linf"): _noise,
    ("noise", "l2"): _noise,
    ("hopskipjump", "l2"): _hopskipjump,
    ("hopskipjump", "linf"): _hopskipjump,
    ("boundary", "l2"): _boundary,
    ("spatial", "linf"): _spatial,
}

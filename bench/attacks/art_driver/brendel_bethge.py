"""Brendel-Bethge, by ART."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.attacks.art_driver.common import classifier, one_hot
from bench.attacks.brendel_bethge import Solver, compiled, from_far
from bench.attacks.job import Job
from bench.spec import Norm

_ORDER: Mapping[Norm, float] = {"l1": 1, "l2": 2, "linf": np.inf}


def _solver(norm: Norm) -> Solver:
    """Return the solver, compiled."""
    from art.attacks.evasion import brendel_bethge

    return compiled(getattr(brendel_bethge, f"{norm.capitalize()}Optimizer"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bar of each image, which cannot be turned off."""
    bars: Any = importlib.import_module("tqdm.auto")
    shown = bars.trange
    bars.trange = partial(shown, disable=True)
    try:
        yield
    finally:
        bars.trange = shown


def _brendel_bethge(job: Job) -> torch.Tensor:
    from art.attacks.evasion.brendel_bethge import BrendelBethgeAttack

    with job.probe.playing([]):  # ART predicts an image of ones, to see whether outputs are logits
        attack: Any = BrendelBethgeAttack(
            classifier(job),
            norm=_ORDER[job.spec.norm],
            targeted=job.target is not None,
            steps=job.spec.parameter("steps"),
            lr=job.spec.amount("step_size"),
        )
    attack._optimizer = _solver(job.spec.norm)
    labels = one_hot(job).cpu().numpy()

    def attack_image(image: torch.Tensor, start: torch.Tensor, row: int) -> torch.Tensor:
        x_adv = attack.generate(
            image.cpu().numpy(), labels[row : row + 1], starting_points=start.cpu().numpy()
        )
        return torch.from_numpy(x_adv).to(job.x)

    with _quiet():
        return from_far(job, attack_image)


ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("brendel-bethge", norm): _brendel_bethge for norm in _ORDER
}
WARM: Mapping[tuple[str, Norm], Callable[[], object]] = {
    ("brendel-bethge", norm): partial(_solver, norm) for norm in _ORDER
}

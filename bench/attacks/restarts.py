"""Restarts: an attack is repeated from new random starts on the images that it has not fooled yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from bench.attacks.job import Job


def restarted(attack: Callable[[Job], torch.Tensor]) -> Callable[[Job], torch.Tensor]:
    """Return an attack that runs up to `restarts` times on the images whose goal is not reached.

    Each run has its own seed; the first one has that of the job. An image keeps the first result that
    reaches the goal, else the last one. Between two runs the remaining images are predicted once.
    """

    def run(job: Job) -> torch.Tensor:
        best = attack(job)
        left = torch.arange(len(job.x), device=job.x.device)
        tried = best
        for start in range(1, job.spec.parameter("restarts")):
            with job.probe.playing(left), torch.no_grad():
                labels = job.probe(tried).argmax(1)
            missed = labels == job.y[left] if job.target is None else labels != job.target[left]
            left = left[missed]
            if not len(left):
                break
            again = replace(
                job,
                x=job.x[left],
                y=job.y[left],
                target=None if job.target is None else job.target[left],
                seed=job.seed + start,
            )
            with job.probe.playing(left):
                tried = attack(again)
            best = best.index_copy(0, left, tried)
        return best

    return run

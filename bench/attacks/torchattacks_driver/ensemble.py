"""AutoAttack, composed of torchattacks' own attacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import torch

from bench.attacks import catalogue
from bench.attacks.instrument import Probe
from bench.attacks.job import Job
from bench.attacks.torchattacks_driver import fixed, queries
from bench.spec import AttackSpec, Norm


def _parts(job: Job) -> Iterator[AttackSpec]:
    """Yield the attacks of Croce and Hein (2020), in their order."""
    steps = {"steps": job.spec.parameter("steps")}
    norm, eps = job.spec.norm, job.spec.eps
    yield catalogue.resolve("apgd-ce", norm, eps, steps)
    if job.spec.parameter("apgd_t"):
        yield catalogue.resolve("apgd-t", norm, eps, steps)
    if job.spec.parameter("fab_t"):
        yield catalogue.resolve("fab-t", norm, eps, steps)
    yield catalogue.resolve("square", norm, eps, {"queries": job.spec.parameter("queries")})


def _autoattack(job: Job) -> torch.Tensor:
    x_adv = job.x.clone()
    left = torch.arange(len(job.x), device=job.x.device)
    for spec in _parts(job):
        if not len(left):
            break
        x, y = job.x[left], job.y[left]
        probe = Probe(job.probe.net, x).eval()
        probe.radius = job.probe.radius
        probe.watch_scores = catalogue.access(spec.name) == "score"
        part = dataclasses.replace(job, spec=spec, probe=probe, x=x, y=y)
        tried = _ATTACKS[spec.name, spec.norm](part).detach()
        with torch.no_grad():
            fooled = probe(tried).argmax(1) != y
        job.probe.join(probe, left)
        x_adv[left[fooled]] = tried[fooled]
        left = left[~fooled]
    return x_adv


_ATTACKS = {**fixed.ATTACKS, **queries.ATTACKS}

ATTACKS: Mapping[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {
    ("autoattack", "linf"): _autoattack,
    ("autoattack", "l2"): _autoattack,
}

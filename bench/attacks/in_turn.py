"""Attacks in turn, each on the images that withstood those before."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from bench.attacks import catalogue
from bench.attacks.instrument import Probe
from bench.attacks.job import Job
from bench.spec import AttackSpec, Toolkit


class Member(NamedTuple):
    """One of several attacks that are made in turn.

    Attributes:
        spec: of the norm and radius of the whole.
        toolkit: that runs it.
    """

    spec: AttackSpec
    toolkit: Toolkit


def in_turn(job: Job, members: Iterable[Member]) -> torch.Tensor:
    """Return the images (N, C, H, W) of the first member that broke each, and the clean ones of those left.

    What a member comes up with is looked at in one pass an image. The probe is told which member broke which
    image.

    Args:
        job: on the whole batch.
        members: the attacks in order; the next is asked for when those before are done.
    """
    x_adv = job.x.clone()
    broken_by: list[str | None] = [None] * len(job.x)
    left = torch.arange(len(job.x), device=job.x.device)
    for spec, toolkit in members:
        if not len(left):
            break
        x, y = job.x[left], job.y[left]
        probe = Probe(job.probe.net, x).eval()
        probe.radius = job.probe.radius
        probe.watch_scores = catalogue.access(spec.name) == "score"
        part = dataclasses.replace(job, spec=spec, probe=probe, x=x, y=y)
        tried = driver(toolkit).ATTACKS[spec.name, spec.norm](part).detach()
        with torch.no_grad():
            fooled = probe(tried).argmax(1) != y
        job.probe.join(probe, left.cpu())
        x_adv[left[fooled]] = tried[fooled]
        for row in left[fooled].tolist():
            broken_by[row] = spec.name
        left = left[~fooled]
    job.probe.broken_by = broken_by
    return x_adv


def driver(toolkit: Toolkit) -> Any:
    """Return the module that runs the attacks of a toolkit."""
    return importlib.import_module(f"bench.attacks.{toolkit.replace('-', '_')}_driver")

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
        only: bool (N,), the images that it is made on, of those left; None for all that are.
    """

    spec: AttackSpec
    toolkit: Toolkit
    only: torch.Tensor | None = None


def in_turn(job: Job, members: Iterable[Member]) -> torch.Tensor:
    """Return the images (N, C, H, W) of the first member that broke each, and the clean ones of those left.

    What a member comes up with is looked at in one pass an image. The probe is told which member broke which
    image.

    Args:
        job: on the whole batch.
        members: the attacks in order; the next is asked for when those before are done, so that it may depend on
            what the job's probe recorded by then.
    """
    x_adv = job.x.clone()
    broken_by: list[str | None] = [None] * len(job.x)
    job.probe.broken_by = broken_by
    for spec, toolkit, only in members:
        wanted = [True] * len(broken_by) if only is None else only.tolist()
        at = [row for row, by in enumerate(broken_by) if by is None and wanted[row]]
        if not at:
            continue
        rows = torch.tensor(at, device=job.x.device)
        x, y = job.x[rows], job.y[rows]
        probe = Probe(job.probe.net, x).eval()
        probe.radius = job.probe.radius
        probe.labels = None if job.probe.labels is None else y
        probe.watch_scores = catalogue.access(spec.name) == "score"
        part = dataclasses.replace(job, spec=spec, probe=probe, x=x, y=y)
        tried = driver(toolkit).ATTACKS[spec.name, spec.norm](part).detach()
        with torch.no_grad():
            fooled = probe(tried).argmax(1) != y
        job.probe.join(probe, rows)
        x_adv[rows[fooled]] = tried[fooled]
        for row in rows[fooled].tolist():
            broken_by[row] = spec.name
    return x_adv


def driver(toolkit: Toolkit) -> Any:
    """Return the module that runs the attacks of a toolkit."""
    return importlib.import_module(f"bench.attacks.{toolkit.replace('-', '_')}_driver")

"""What several attacks of adv-lib share."""

from __future__ import annotations

import importlib.util
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import torch

from bench.attacks.job import Job
from bench.spec import Norm

#: The order of a norm, as adv-lib takes it.
ORDER: Mapping[Norm, float] = {"l0": 0, "l1": 1, "l2": 2, "linf": math.inf}


def prepare() -> None:
    """Import the toolkit, so that the import is not timed as part of an attack."""
    with _without_visdom(), warnings.catch_warnings():
        # Of `distutils`, which it compares versions of torch with, and of its docstrings.
        for kind in (DeprecationWarning, SyntaxWarning):
            warnings.simplefilter("ignore", kind)
        import adv_lib.attacks  # noqa: F401


@contextmanager
def _without_visdom() -> Iterator[None]:
    """Let adv-lib be imported without visdom, which draws its curves and fails to install."""
    if "visdom" in sys.modules or importlib.util.find_spec("visdom") is not None:
        yield
        return
    sys.modules["visdom"] = ModuleType("visdom")
    try:
        yield
    finally:
        del sys.modules["visdom"]


def goal(job: Job, rows: Any = slice(None)) -> dict[str, Any]:
    """Return the goal of some rows in adv-lib's words: the target classes, or the labels to leave."""
    return {"labels": job.goal[rows], "targeted": job.target is not None}


def with_parts(attack: Callable[..., Any], **parts: Any) -> Callable[..., Any]:
    """Return the function of an attack that finds other parts under the names of its module."""
    assert isinstance(attack, FunctionType)
    names = {**attack.__globals__, **parts}
    changed = FunctionType(attack.__code__, names, attack.__name__, attack.__defaults__)
    changed.__kwdefaults__ = attack.__kwdefaults__
    return changed


def image_by_image(attack: Callable[[Job, int], torch.Tensor]) -> Callable[[Job], torch.Tensor]:
    """Return an attack that takes a batch one image at a time; it is given the row, and draws by it."""

    def run(job: Job) -> torch.Tensor:
        found = []
        for row in range(len(job.x)):
            torch.manual_seed(job.row_seed(row))
            with job.probe.playing([row]):
                found.append(attack(job, row))
        return torch.cat(found)

    return run

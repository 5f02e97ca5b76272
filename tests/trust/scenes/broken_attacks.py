"""Broken attacks on a network that is not robust: each leaves stored results that overstate it.

An attack takes the place of torchattacks' PGD in the table of its driver while a small suite is run, so its
results are those that a run stores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import build
import torch
from torch import nn
from torch.nn import functional as F

import bench
from bench.attacks import torchattacks_driver
from bench.attacks.job import Job
from bench.model_names import MODELS
from bench.spec import Adapter

from .bases import CLASSES, SHAPE, base

IMAGES = 100
EPS = ("0.1", "0.2")
_PLACE = ("pgd", "linf")

#: What takes the place of an attack: a job to the images tried.
Attack = Callable[[Job], torch.Tensor]


class NeverNine(nn.Module):
    """A network that gives no image the last class."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.net(x)
        return torch.cat([scores[:, :-1], scores.amin(1, keepdim=True) - 1000], 1)


def plain() -> Adapter:
    return bench.wrap(base(), CLASSES, SHAPE)


def never_nine() -> Adapter:
    return bench.wrap(NeverNine(base()), CLASSES, SHAPE)


def _slope(job: Job, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient of the cross-entropy at some images, and which of them are misclassified."""
    x = x.detach().requires_grad_()
    scores = job.probe(x)
    (slope,) = torch.autograd.grad(F.cross_entropy(scores, job.y, reduction="sum"), x)
    return slope, scores.argmax(1) != job.y


def _pgd(job: Job, steps: int = 10, scale: float = 1.0, sign: float = 1.0) -> torch.Tensor:
    """Return what PGD with a small fault returns: a wrong radius, or the wrong direction."""
    eps = job.eps * scale
    x, size = job.x, 2.5 * eps / steps
    for _ in range(steps):
        slope, _ = _slope(job, x)
        x = torch.clamp(x + sign * size * slope.sign(), job.x - eps, job.x + eps).clamp(0, 1)
    return x


def _identity(job: Job) -> torch.Tensor:
    """Take all steps, and return the clean images."""
    _pgd(job)
    return job.x


def _never_ran(job: Job) -> torch.Tensor:
    """Return the clean images without a look at the model."""
    return job.x


def _fails(job: Job) -> torch.Tensor:
    raise RuntimeError("no such file: the weights of the attack")


def _last_iterate(job: Job) -> torch.Tensor:
    """Shrink the change while the image is misclassified, and return the last image instead of the best."""
    x = _pgd(job)
    for _ in range(10):
        _, wrong = _slope(job, x)
        x = torch.where(wrong.view(-1, 1, 1, 1), job.x + 0.7 * (x - job.x), x)
    return x


def _already_wrong(job: Job) -> torch.Tensor:
    """Start at random and go on with those images alone that are misclassified already."""
    draw = torch.Generator().manual_seed(job.seed)
    x = job.x + job.eps * (2 * torch.rand(job.x.shape, generator=draw) - 1)
    x = x.clamp(0, 1)
    for _ in range(10):
        slope, wrong = _slope(job, x)
        step = 0.25 * job.eps * slope.sign() * wrong.view(-1, 1, 1, 1)
        x = torch.clamp(x + step, job.x - job.eps, job.x + job.eps).clamp(0, 1)
    return x


@dataclass(frozen=True, kw_only=True)
class BrokenAttack:
    """An attack with a fault.

    Attributes:
        name: of the fault.
        attack: what takes PGD's place; None where the fault is in what the suite asks for.
        words: what the suite writes of PGD beside its threat.
        make: the model.
    """

    name: str
    attack: Attack | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[], Adapter] = plain

    def run(self, folder: Path, monkeypatch: Any, others: bool = True) -> bench.api.Run:
        """Return a run with the broken attack; its results are left in a folder.

        Args:
            folder: for the suite and the results.
            monkeypatch: of pytest.
            others: whether noise and FGSM are run beside it.
        """
        name = f"digits/{self.make.__name__.replace('_', '-')}"
        if name not in MODELS:
            bench.register_model(name, data="digits")(self.make)
        named = {"norm": "linf", "eps": list(EPS)}
        attacks = [{"name": "pgd", "toolkits": ["torchattacks"], **named, **self.words}]
        if others:
            attacks += [
                {"name": "noise", **named},
                {"name": "fgsm", "toolkits": ["foolbox"], **named},
            ]
        path = folder / "broken.toml"
        path.write_text(build.suite([name], attacks, images=IMAGES))
        with monkeypatch.context() as patched:
            if self.attack is not None:
                patched.setitem(torchattacks_driver.ATTACKS, _PLACE, self.attack)
            return bench.run(path, results=folder / "results", models=(name,))


BROKEN_ATTACKS: dict[str, BrokenAttack] = {
    broken.name: broken
    for broken in (
        BrokenAttack(name="identity", attack=_identity),
        BrokenAttack(name="last iterate instead of best", attack=_last_iterate),
        BrokenAttack(name="too few steps", words={"steps": 2, "step_size": "0.005"}),
        BrokenAttack(name="wrong scale of eps", attack=partial(_pgd, scale=1 / 255)),
        BrokenAttack(name="wrong sign", attack=partial(_pgd, sign=-1.0)),
        BrokenAttack(name="never ran", attack=_never_ran),
        BrokenAttack(name="failed", attack=_fails),
        BrokenAttack(
            name="a target nobody can reach", words={"targeted": "9"}, make=never_nine,
        ),
        BrokenAttack(name="budget spent on images already wrong", attack=_already_wrong),
    )
}  # fmt: skip

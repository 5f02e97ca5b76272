"""Attacks of users (`bench.attacks.users`): the function is called with the model and the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bench.attacks.instrument import Probe
from bench.attacks.job import Job
from bench.attacks.row import Attack
from bench.attacks.rows import ATTACKS as ROWS
from bench.attacks.users import USERS
from bench.errors import AttackError
from bench.spec import Norm

#: What an attack without a gradient gets told by autograd if it asks for one.
_NO_GRAPH = "does not require grad"


class Labels(torch.nn.Module):
    """A model that gives its decisions alone: int64 (N,), -1 where it abstains."""

    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self.probe = probe

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the labels of images (N, C, H, W)."""
        with torch.no_grad():
            scores: torch.Tensor = self.probe(x)
        labels = scores.argmax(1)
        if getattr(self.probe.net, "may_abstain", False):
            labels = labels.masked_fill(labels == scores.shape[1] - 1, -1)
        return labels


def _run(job: Job) -> torch.Tensor:
    spec, own, row = job.spec, USERS[job.spec.name], ROWS[job.spec.name]
    model = Labels(job.probe) if row.access == "decision" else job.probe
    handed: dict[str, Any] = {"norm": spec.norm, "target": job.target}
    named = {word: handed[word] for word in own.handed} | {
        word: spec.amount(word) if rule.kind == "amount" else spec.parameter(word)
        for word, rule in row.parameters.items()
        if word != "targeted"
    }
    radius = () if row.minimal else (job.eps,)
    try:
        with own.owner.blamed("function"):
            x_adv: Any = own.function(model, job.x.clone(), job.y.clone(), *radius, **named)
    except AttackError as error:
        raise _explained(error, row) from error.__cause__
    if not isinstance(x_adv, torch.Tensor):
        raise own.owner.refused("function", x_adv, "a float tensor of the shape of x")
    if x_adv.shape != job.x.shape or not x_adv.is_floating_point():
        raise AttackError(
            f"{own.owner.title}: its function returned {_told(x_adv)}; return images like x, {_told(job.x)}"
        )
    return x_adv.detach().to(job.x)


def _explained(error: AttackError, row: Attack) -> Exception:
    """Return the error of a user's function, with what helps where that is known."""
    cause = error.__cause__
    if isinstance(cause, MemoryError | torch.OutOfMemoryError):
        return cause  # which is no fault of the function
    if _NO_GRAPH in str(cause) and row.access != "white":
        return AttackError(
            f"attack {row.name!r} asks for a gradient, which access={row.access!r} does not give; register it "
            f'with access="white"'
        )
    return error


def _told(images: torch.Tensor) -> str:
    return f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"


#: The attacks of users that are registered so far.
ATTACKS: dict[tuple[str, Norm], Callable[[Job], torch.Tensor]] = {}


def prepare() -> None:
    """Take up what users registered."""
    ATTACKS.clear()
    ATTACKS.update({(name, norm): _run for name in USERS for norm in ROWS[name].norms})

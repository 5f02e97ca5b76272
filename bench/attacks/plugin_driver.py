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


class Answers(torch.nn.Module):
    """What a user's attack is given of a model: its answers, through which gradients flow, and no way to its parts.

    So the function cannot change the model for what comes after it: `train()` reaches nothing.
    """

    def __init__(self, ask: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._ask = ask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers to images (N, C, H, W)."""
        return self._ask(x)


def _answers(probe: Probe, access: str) -> Answers:
    """Return logits (N, classes), or of an attack by decisions labels (N,), -1 where the model abstains."""

    def logits(x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = probe(x)
        return scores

    def labels(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            scores = logits(x)
        named = scores.argmax(1)
        if getattr(probe.net, "may_abstain", False):
            named = named.masked_fill(named == scores.shape[1] - 1, -1)
        return named

    return Answers(labels if access == "decision" else logits)


def _run(job: Job) -> torch.Tensor:
    spec, own, row = job.spec, USERS[job.spec.name], ROWS[job.spec.name]
    model = _answers(job.probe, row.access)
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

"""Gradient ascent with momentum and a step that is halved when it no longer helps."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.attacks.native.adaptive.ball import column
from bench.attacks.native.adaptive.losses import Aim
from bench.attacks.native.adaptive.survivors import Survivors
from bench.attacks.native.adaptive.views import NoGradient, View

#: The weight of the new step against the last one, and the share of the steps of a window that must help.
_MOMENTUM, _HELPED = 0.75, 0.75

#: After so many gradients that are 0, an image is given up on a view.
_PATIENCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """One ascent.

    Attributes:
        view: whose loss is increased.
        aim: which loss.
        steps: the most steps.
        target: class aimed at for every image of the batch, int64 (N,); None without one.
    """

    view: View
    aim: Aim
    steps: int
    target: torch.Tensor | None = None


def climb(survivors: Survivors, rows: torch.Tensor, start: torch.Tensor, plan: Climb) -> bool:
    """Follow the gradient from `start` (n, C, H, W) inside the balls of some rows (n,).

    APGD of Croce and Hein, 'Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks', ICML 2020, algorithm 1. The image for which another class leads most on the view
    is shown to the model's decision when that class first leads, at each checkpoint and at the end; images
    that it gets wrong drop out.

    Returns:
        Whether the view had a gradient for some image.
    """
    try:
        return _Ascent(survivors, rows, start, plan).run()
    except NoGradient:
        return False


def checkpoints(steps: int) -> list[int]:
    """Return the steps after which the step size is looked at: closer together towards the end."""
    shares, last, at = [], 0.0, 0.22
    while at < 1:
        shares.append(at)
        last, at = at, at + max(at - last - 0.03, 0.06)
    return sorted({max(1, int(share * steps)) for share in shares})


class _Ascent:
    """The state of an ascent; every tensor has a row for each image still climbing."""

    def __init__(
        self, survivors: Survivors, rows: torch.Tensor, start: torch.Tensor, plan: Climb
    ) -> None:
        self.survivors, self.plan, self.rows = survivors, plan, rows
        n, device = len(rows), start.device
        size = 2.0 if survivors.ball.norm == "linf" else 1.0
        centre = survivors.x[rows.to(device)]
        nothing = torch.full((n,), -torch.inf, device=device)
        zeros = torch.zeros(n, device=device)
        self.state = {
            "centre": centre, "image": start, "before": start.clone(), "slope": torch.zeros_like(start),
            "best": start.clone(), "best_slope": torch.zeros_like(start), "loss": nothing.clone(),
            "last": nothing.clone(), "at_checkpoint": nothing.clone(), "helped": zeros.clone(),
            "step": torch.full((n,), size * survivors.ball.eps, device=device),
            "candidate": start.clone(), "lead": nothing.clone(), "shown": nothing.clone(),
            "blind": zeros.clone(), "halved": torch.zeros(n, dtype=torch.bool, device=device),
        }  # fmt: skip

    def run(self) -> bool:
        plan, guided, since = self.plan, False, 0
        stops = checkpoints(plan.steps)
        self._afford()
        if not len(self.rows):
            return False
        self._look()
        for turn in range(1, plan.steps + 1):
            self._afford()
            if not len(self.rows):
                break
            self._step(first=turn == 1)
            self._look()
            since += 1
            guided |= bool((self.state["blind"] < turn + 1).any())
            crossed = (self.state["lead"] > 0) & (self.state["shown"] <= 0)
            if turn in stops:
                self._halve(since)
                since = 0
                crossed = self.state["lead"] > self.state["shown"]
            self._show(crossed)
            if turn == _PATIENCE:
                self._drop(self.state["blind"] > _PATIENCE)
        self._show(self.state["lead"] > self.state["shown"])
        return guided

    def _look(self) -> None:
        """Take the loss and the gradient at the images, and keep the best of them."""
        state, device = self.state, self.state["image"].device
        at = self.rows.to(device)
        target = None if self.plan.target is None else self.plan.target[at]
        loss, lead, slope = self.plan.view.slope(
            state["image"], self.survivors.y[at], target, self.plan.aim, self.rows
        )
        state["helped"] += loss > state["last"]
        state["blind"] += (slope.flatten(1).abs().amax(1) == 0).float()
        better, leads = loss > state["loss"], lead > state["lead"]
        # Where scores are not finite there is no way on but back.
        lost = loss.isneginf() & ~state["loss"].isneginf()
        state["last"], state["slope"] = loss, slope
        state["loss"] = torch.where(better, loss, state["loss"])
        state["lead"] = torch.where(leads, lead, state["lead"])
        state["best"] = torch.where(column(better), state["image"], state["best"])
        state["best_slope"] = torch.where(column(better), slope, state["best_slope"])
        state["candidate"] = torch.where(column(leads), state["image"], state["candidate"])
        self._go_back(lost)

    def _go_back(self, wanted: torch.Tensor) -> None:
        """Halve the step of some images (n,), and go on from the best."""
        state = self.state
        state["step"] = torch.where(wanted, state["step"] / 2, state["step"])
        for name, best in (("image", "best"), ("before", "best"), ("slope", "best_slope")):
            state[name] = torch.where(column(wanted), state[best], state[name])

    def _step(self, *, first: bool) -> None:
        state, ball = self.state, self.survivors.ball
        ahead = state["image"] + column(state["step"]) * ball.direction(state["slope"])
        ahead = ball.project(state["centre"], ahead)
        share = 1.0 if first else _MOMENTUM
        moved = (
            state["image"]
            + share * (ahead - state["image"])
            + (1 - share) * (state["image"] - state["before"])
        )
        state["before"] = state["image"]
        state["image"] = ball.project(state["centre"], moved)

    def _halve(self, since: int) -> None:
        """Halve the step where too few steps helped or the best loss stands still; go on from the best."""
        state = self.state
        still = ~state["halved"] & (state["loss"] <= state["at_checkpoint"])
        halved = (state["helped"] < _HELPED * since) | still
        state["halved"], state["at_checkpoint"] = halved, state["loss"].clone()
        state["helped"] = torch.zeros_like(state["helped"])
        self._go_back(halved)

    def _show(self, wanted: torch.Tensor) -> None:
        """Show the best candidates of some images (n,) to the model's decision."""
        at = wanted.nonzero().flatten().cpu()
        at = at[self.survivors.budget.affords(self.rows[at], 1)]
        if not len(at):
            return
        rows = self.rows[at]
        self.survivors.ask(rows, self.state["candidate"][at.to(wanted.device)])
        self.state["shown"][at.to(wanted.device)] = self.state["lead"][at.to(wanted.device)]
        self._drop(self.survivors.settled[self.rows.to(wanted.device)])

    def _afford(self) -> None:
        """Drop the images that have too few passes left for another step and a last look."""
        device = self.state["image"].device
        affords = self.survivors.budget.affords(self.rows, self.plan.view.cost + 1)
        if not affords.all():
            self._show(~affords.to(device))
            affords = self.survivors.budget.affords(self.rows, self.plan.view.cost + 1)
            self._drop(~affords.to(device))

    def _drop(self, dropped: torch.Tensor) -> None:
        if dropped.any():
            kept = ~dropped
            self.rows = self.rows[kept.cpu()]
            self.state = {name: values[kept] for name, values in self.state.items()}

"""APGD on a view of a model, whose own decision is asked about what the view says."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.attacks.native.adaptive.losses import Aim
from bench.attacks.native.adaptive.survivors import Survivors
from bench.attacks.native.adaptive.views import NoGradient, View
from bench.attacks.native.ascent import Ascent, checkpoints
from bench.attacks.native.ball import column

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

    The image for which another class leads most on the view is shown to the model's decision when that class
    first leads, at each checkpoint and at the end; images that it gets wrong drop out.

    Returns:
        Whether the view had a gradient for some image.
    """
    try:
        return _Climbing(survivors, rows, start, plan).run()
    except NoGradient:
        return False


class _Climbing(Ascent):
    """An ascent on a view, with the image for which another class led most."""

    def __init__(
        self, survivors: Survivors, rows: torch.Tensor, start: torch.Tensor, plan: Climb
    ) -> None:
        super().__init__(survivors.ball, rows, survivors.x[rows.to(start.device)], start)
        self.survivors, self.plan = survivors, plan
        nothing = torch.full_like(self.state["loss"], -torch.inf)
        self.state |= {
            "candidate": start.clone(), "lead": nothing.clone(), "shown": nothing.clone(),
            "blind": torch.zeros_like(nothing),
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
            self.advance(first=turn == 1)
            self._look()
            since += 1
            guided |= bool((self.state["blind"] < turn + 1).any())
            crossed = (self.state["lead"] > 0) & (self.state["shown"] <= 0)
            if turn in stops:
                self.halve(since)
                since = 0
                crossed = self.state["lead"] > self.state["shown"]
            self._show(crossed)
            if turn == _PATIENCE:
                self.drop(self.state["blind"] > _PATIENCE)
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
        state["blind"] += (slope.flatten(1).abs().amax(1) == 0).float()
        leads = lead > state["lead"]
        # Where scores are not finite there is no way on but back.
        lost = loss.isneginf() & ~state["loss"].isneginf()
        self.take(loss, slope)
        state["lead"] = torch.where(leads, lead, state["lead"])
        state["candidate"] = torch.where(column(leads), state["image"], state["candidate"])
        self.go_back(lost)

    def _show(self, wanted: torch.Tensor) -> None:
        """Show the best candidates of some images (n,) to the model's decision."""
        at = wanted.nonzero().flatten().cpu()
        at = at[self.survivors.budget.affords(self.rows[at], 1)]
        if not len(at):
            return
        rows = self.rows[at]
        self.survivors.ask(rows, self.state["candidate"][at.to(wanted.device)])
        self.state["shown"][at.to(wanted.device)] = self.state["lead"][at.to(wanted.device)]
        self.drop(self.survivors.settled[self.rows.to(wanted.device)])

    def _afford(self) -> None:
        """Drop the images that have too few passes left for another step and a last look."""
        device = self.state["image"].device
        affords = self.survivors.budget.affords(self.rows, self.plan.view.cost + 1)
        if not affords.all():
            self._show(~affords.to(device))
            affords = self.survivors.budget.affords(self.rows, self.plan.view.cost + 1)
            self.drop(~affords.to(device))

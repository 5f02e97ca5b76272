"""The steps of APGD: gradient ascent with momentum, whose step is halved when it no longer helps.

Croce and Hein, 'Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks', ICML 2020, algorithm 1.
"""

from __future__ import annotations

import torch

from bench.attacks.native.ball import Ball, column

#: The weight of the new step against the last one, and the share of the steps of a window that must help.
_MOMENTUM, _HELPED = 0.75, 0.75


def checkpoints(steps: int) -> list[int]:
    """Return the steps after which the step size is looked at: closer together towards the end."""
    shares, last, at = [], 0.0, 0.22
    while at < 1:
        shares.append(at)
        last, at = at, at + max(at - last - 0.03, 0.06)
    return sorted({max(1, int(share * steps)) for share in shares})


class Ascent:
    """The state of an ascent; every tensor has a row for each image still climbing.

    Attributes:
        ball: in which the images stay.
        rows: which of the attacked images these are, int64 (n,) on the CPU.
        state: by name, tensors of n rows on the device of the images; among them `image`, where they are,
            `slope`, the gradient there, `loss` and `best`, the largest loss and where it was.
    """

    def __init__(
        self, ball: Ball, rows: torch.Tensor, centre: torch.Tensor, start: torch.Tensor
    ) -> None:
        self.ball, self.rows = ball, rows
        n, device = len(rows), start.device
        size = 2.0 if ball.norm == "linf" else 1.0
        nothing = torch.full((n,), -torch.inf, device=device)
        self.state = {
            "centre": centre, "image": start, "before": start.clone(), "slope": torch.zeros_like(start),
            "best": start.clone(), "best_slope": torch.zeros_like(start), "loss": nothing.clone(),
            "last": nothing.clone(), "at_checkpoint": nothing.clone(),
            "helped": torch.zeros(n, device=device),
            "step": torch.full((n,), size * ball.eps, device=device),
            "halved": torch.zeros(n, dtype=torch.bool, device=device),
        }  # fmt: skip

    def take(self, loss: torch.Tensor, slope: torch.Tensor) -> None:
        """Take over the loss (n,) and the gradient (n, C, H, W) at the images, and keep the best of them."""
        state = self.state
        state["helped"] += loss > state["last"]
        better = loss > state["loss"]
        state["last"], state["slope"] = loss, slope
        state["loss"] = torch.where(better, loss, state["loss"])
        state["best"] = torch.where(column(better), state["image"], state["best"])
        state["best_slope"] = torch.where(column(better), slope, state["best_slope"])

    def go_back(self, wanted: torch.Tensor) -> None:
        """Halve the step of some images (n,), and go on from the best."""
        state = self.state
        state["step"] = torch.where(wanted, state["step"] / 2, state["step"])
        for name, best in (("image", "best"), ("before", "best"), ("slope", "best_slope")):
            state[name] = torch.where(column(wanted), state[best], state[name])

    def advance(self, *, first: bool) -> None:
        """Take a step along the gradient; all but the first go on a little as the last did."""
        state, ball = self.state, self.ball
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

    def halve(self, since: int) -> None:
        """Halve the step where too few of `since` steps helped or the best loss stands still; go on from the best."""
        state = self.state
        still = ~state["halved"] & (state["loss"] <= state["at_checkpoint"])
        halved = (state["helped"] < _HELPED * since) | still
        state["halved"], state["at_checkpoint"] = halved, state["loss"].clone()
        state["helped"] = torch.zeros_like(state["helped"])
        self.go_back(halved)

    def drop(self, dropped: torch.Tensor) -> None:
        """Forget some of the images, bool (n,)."""
        if dropped.any():
            kept = ~dropped
            self.rows = self.rows[kept.cpu()]
            self.state = {name: values[kept] for name, values in self.state.items()}

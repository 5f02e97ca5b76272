"""APGD on a whole batch, from which images drop out as soon as they are broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F

from bench.attacks.instrument import Probe
from bench.attacks.native.ascent import Ascent, checkpoints
from bench.attacks.native.ball import Ball
from bench.attacks.native.hunt import Hunt
from bench.attacks.native.noise import ball_point


@dataclass(frozen=True, slots=True, kw_only=True)
class APGD:
    """The parameters of the attack.

    Attributes:
        ball: around each image.
        steps: of each ascent.
        loss: `ce`, the cross-entropy; `dlr`, the ratio of differences of logits (equation 6).
        eot: how many gradients are averaged a step.
        targets: how many classes the targeted ratio (equation 7) is followed towards, the likeliest first; 0
            for an ascent on `loss` without a target.
    """

    ball: Ball
    steps: int
    loss: Literal["ce", "dlr"] = "dlr"
    eot: int = 1
    targets: int = 0


def apgd(
    probe: Probe, x: torch.Tensor, y: torch.Tensor, parameters: APGD, seed: int
) -> torch.Tensor:
    """Return images (N, C, H, W) that the model gets wrong, the clean ones where none is found.

    Croce and Hein, 'Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks', ICML 2020. One pass a clean image if there are targets; then, for each of them, a forward pass at
    the start and after each step, and a backward pass at all but the last. What one image gets does not depend on the others.

    Args:
        probe: images in [0, 1] to logits.
        x: images, float32 (N, C, H, W) in [0, 1].
        y: labels, int64 (N,).
        parameters: of the attack.
        seed: of the starts, drawn from the ball.
    """
    hunt = Hunt(probe, x, y)
    ranked = hunt.begin(parameters.targets) if parameters.targets else None
    turns = 1 if ranked is None else ranked.shape[1]
    for rows, ranks in hunt.rounds(turns):
        starts = [
            ball_point(x, parameters.ball.norm, parameters.ball.eps, seed + rank)
            for rank in sorted(set(ranks.tolist()))
        ]
        at = rows.to(x.device)
        drawn = torch.stack(starts)[(ranks - ranks[0]).to(x.device), at]
        ascent = _Targeted(hunt, parameters, rows, (x[at] + drawn).clamp(0, 1))
        if ranked is not None:
            ascent.state["target"] = ranked[at, ranks.to(x.device)]
        ascent.run()
    return hunt.x_adv


class _Targeted(Ascent):
    """An ascent of several images, each perhaps towards a class; one image may come several times."""

    def __init__(
        self, hunt: Hunt, parameters: APGD, rows: torch.Tensor, start: torch.Tensor
    ) -> None:
        super().__init__(parameters.ball, rows, hunt.x[rows.to(start.device)], start)
        self.hunt, self.parameters = hunt, parameters

    def run(self) -> None:
        steps, since = self.parameters.steps, 0
        stops = checkpoints(steps)
        self._look(last=False)
        for turn in range(1, steps + 1):
            if not len(self.rows):
                return
            self.advance(first=turn == 1)
            self._look(last=turn == steps)
            since += 1
            if turn in stops:
                self.halve(since)
                since = 0

    def _look(self, *, last: bool) -> None:
        """Look at the images; drop those of rows that are broken, and take the gradient of the others."""
        point = self.state["image"].detach().requires_grad_(not last)
        labels = self.hunt.y[self.rows.to(point.device)]
        total = slope = torch.zeros((), device=point.device)
        wrong = torch.zeros_like(labels, dtype=torch.bool)
        for _ in range(self.parameters.eot):
            logits = self.hunt.ask(point, self.rows)
            wrong |= logits.detach().argmax(1) != labels
            if last or wrong.all():
                continue
            loss = self._loss(logits, labels)
            slope = slope + torch.autograd.grad(loss.sum(), point)[0] / self.parameters.eot
            total = total + loss.detach() / self.parameters.eot
        self.state["image"] = point.detach()
        found = self.hunt.keep(self.rows, point, wrong)
        if not last and not wrong.all():
            self.take(total, slope)
        if found:
            self.drop(self.hunt.broken[self.rows.to(point.device)])

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.parameters.targets:
            return _targeted_ratio(logits, labels, self.state["target"])
        if self.parameters.loss == "ce":
            return F.cross_entropy(logits, labels, reduction="none")
        ordered = logits.sort(1, descending=True).values
        own = logits.gather(1, labels[:, None]).squeeze(1)
        other = torch.where(logits.argmax(1) == labels, ordered[:, 1], ordered[:, 0])
        return (other - own) / (ordered[:, 0] - ordered[:, 2] + 1e-12)


def _targeted_ratio(
    logits: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Return the targeted ratio of differences of logits, (n,)."""
    ordered = logits.topk(4, dim=1).values
    ahead = logits.gather(1, targets[:, None]) - logits.gather(1, labels[:, None])
    spread = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
    return ahead.squeeze(1) / (spread + 1e-12)

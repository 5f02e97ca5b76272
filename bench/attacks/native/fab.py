"""FAB towards one class after another, on the images that are left."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.ball import Ball, column
from bench.attacks.native.hunt import Hunt
from bench.attacks.native.noise import ball_point
from bench.attacks.native.planes import to_plane


@dataclass(frozen=True, slots=True, kw_only=True)
class FAB:
    """The parameters of the attack.

    Attributes:
        ball: around each image; what lies beyond does not count.
        steps: towards each class.
        restarts: the first begins at the image, the others at random within half of eps.
        alpha_max: the largest weight of the way from the image itself.
        eta: how far beyond the plane a step goes, as a factor.
        beta: how far an image that is wrong is drawn back to the clean one, as a factor.
        targets: how many classes are aimed at, the likeliest first.
    """

    ball: Ball
    steps: int
    restarts: int = 1
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9
    targets: int = 9


def fab_t(
    probe: Probe, x: torch.Tensor, y: torch.Tensor, parameters: FAB, seed: int
) -> torch.Tensor:
    """Return images (N, C, H, W) within eps that the model gets wrong, the clean ones where none is found.

    Croce and Hein, 'Minimally distorted adversarial examples with a fast adaptive boundary attack', ICML 2020,
    algorithm 1, in the targeted form of AutoAttack. One pass a clean image; for each target two forward passes and one
    backward pass a step. An image is left alone once it is broken within eps; what one gets does not depend on
    the others.

    Args:
        probe: images in [0, 1] to logits.
        x: images, float32 (N, C, H, W) in [0, 1].
        y: labels, int64 (N,).
        parameters: of the attack.
        seed: of the starts.
    """
    hunt = Hunt(probe, x, y)
    ranked = hunt.begin(parameters.targets)
    for restart in range(parameters.restarts):
        for rows, ranks in hunt.rounds(ranked.shape[1]):
            at = rows.to(x.device)
            start = x[at]
            if restart:
                half = ball_point(x, parameters.ball.norm, parameters.ball.eps / 2, seed + restart)
                start = (start + half[at]).clamp(0, 1)
            _Approach(hunt, parameters, rows, ranked[at, ranks.to(x.device)], start).run()
    return hunt.x_adv


class _Approach:
    """Images on their way to a boundary each, and back; one image may come several times."""

    def __init__(
        self,
        hunt: Hunt,
        parameters: FAB,
        rows: torch.Tensor,
        target: torch.Tensor,
        start: torch.Tensor,
    ) -> None:
        self.hunt, self.parameters, self.rows = hunt, parameters, rows
        at = rows.to(start.device)
        self.centre, self.labels, self.target = hunt.x[at], hunt.y[at], target
        self.image = start

    def run(self) -> None:
        for _ in range(self.parameters.steps):
            self._step(*self._slope())
            self._look()
            if not len(self.rows):
                return

    def _slope(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return by how much each target leads the label, (n,), and its gradient (n, D)."""
        point = self.image.detach().requires_grad_()
        logits = self.hunt.ask(point, self.rows)
        named = torch.stack([self.target, self.labels], dim=1)
        ahead, own = logits.gather(1, named).unbind(1)
        lead = ahead - own
        (slope,) = torch.autograd.grad(lead.sum(), point)
        return lead.detach(), slope.flatten(1)

    def _look(self) -> None:
        """Keep the images within eps that are wrong, and draw back those beyond."""
        ball = self.parameters.ball
        with torch.no_grad():
            wrong = self.hunt.ask(self.image, self.rows).argmax(1) != self.labels
        if not wrong.any():
            return
        way = self.image - self.centre
        found = self.hunt.keep(self.rows, self.image, wrong & (ball.length(way) <= ball.eps))
        back = self.centre + self.parameters.beta * way
        self.image = torch.where(column(wrong), back, self.image)
        if found:
            kept = ~self.hunt.broken[self.rows.to(wrong.device)]
            self.rows = self.rows[kept.cpu()]
            self.centre, self.labels, self.target, self.image = (
                part[kept] for part in (self.centre, self.labels, self.target, self.image)
            )

    def _step(self, lead: torch.Tensor, slope: torch.Tensor) -> None:
        """Go to the plane on which the linearised target draws level, partly from the clean image."""
        parameters, ball, n = self.parameters, self.parameters.ball, len(self.rows)
        points = torch.cat([self.image.flatten(1), self.centre.flatten(1)])
        lead_of_clean = lead + ((self.centre - self.image).flatten(1) * slope).sum(1)
        changes = to_plane(points, slope.repeat(2, 1), -torch.cat([lead, lead_of_clean]), ball.norm)
        lengths = ball.length(changes).clamp(min=1e-8)
        weight = (lengths[:n] / (lengths[:n] + lengths[n:])).clamp(max=parameters.alpha_max)
        ends = (points + parameters.eta * changes).view(2, *self.image.shape)
        self.image = torch.lerp(ends[0], ends[1], column(weight)).clamp(0, 1)

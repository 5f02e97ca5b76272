"""Views of a model: what a gradient is followed on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.attacks.instrument import Probe
from bench.attacks.native.adaptive.losses import Aim, as_logits, loss_of, margin_of
from bench.attacks.native.ball import column
from bench.errors import BenchError


class NoGradient(Exception):
    """A view has no gradient, or raises where one is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A module from images to scores, asked at one point or at several around it.

    Attributes:
        probe: the module, which counts.
        draws: how many answers are averaged, each from a call of its own.
        around: standard deviation of the Gaussian noise added to the images of each call, in pixel units;
            0 for none.
        generator: of that noise, on the CPU.
    """

    probe: Probe
    generator: torch.Generator
    draws: int = 1
    around: float = 0.0

    @property
    def cost(self) -> int:
        """Return the passes of one gradient."""
        return 2 * self.draws

    def logits(self, images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the mean logits (n, C) of images (n, C, H, W) of some rows (n,), with their graph."""
        answers = []
        for _ in range(self.draws):
            asked = images
            if self.around:
                noise = torch.randn(images.shape, generator=self.generator)
                asked = images + self.around * noise.to(images)
            with self.probe.playing(rows):
                answers.append(as_logits(self.probe(asked)))
        return torch.stack(answers).mean(0)

    def slope(
        self,
        images: torch.Tensor,
        y: torch.Tensor,
        target: torch.Tensor | None,
        aim: Aim,
        rows: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss (n,), the lead of another class (n,) and the gradient of the loss (n, C, H, W).

        Loss and lead are -inf, and the gradient 0, where they are not finite.

        Raises:
            NoGradient: the module fails, or gives no graph.
        """
        point = images.detach().clone().requires_grad_()
        try:
            logits = self.logits(point, rows)
            loss = loss_of(logits, y, target, aim)
            (gradient,) = torch.autograd.grad(loss.sum(), point)
        except (BenchError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a model is anybody's code
            raise NoGradient(str(error)) from error
        finite = logits.detach().isfinite().all(1)
        lost = torch.full_like(loss.detach(), -torch.inf)
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        return (
            torch.where(finite, loss.detach(), lost),
            torch.where(finite, margin_of(logits.detach(), y), lost),
            gradient * column(finite.float()),
        )

"""Models whose answers depend on the other images of the batch: all images are attacked as one."""

from __future__ import annotations

import itertools
import math

import torch
from torch.nn import functional as F

from bench.attacks.native.adaptive.losses import as_logits, margin_of
from bench.attacks.native.adaptive.survivors import Survivors
from bench.attacks.native.adaptive.views import NoGradient, View
from bench.errors import BenchError

#: By how much an image's scores may change with the batch by rounding, relative to the largest.
_ROUNDING = 0.05

#: Steps of one ascent, and the weight of its earlier slopes.
_STEPS, _MOMENTUM = 100, 0.5


def depends_on_batch(survivors: Survivors, scores: torch.Tensor) -> bool:
    """Return whether the clean images get other scores, or none, when every second one is left out.

    A random model is judged by the draws of each image alone, so that of such a one nothing is asked.

    Args:
        survivors: of the cascade.
        scores: of the clean images (N, C), all in one batch.
    """
    if survivors.model.random or len(scores) < 2:
        return False
    rows = torch.arange(0, len(scores), 2)
    try:
        _, fewer = survivors.model.decide(survivors.x[rows.to(scores.device)], rows)
    except Exception:  # a model is anybody's code
        return True
    all_of_them = scores[rows.to(scores.device)]
    size = all_of_them.abs().amax(1).clamp(min=1e-12)
    changed = (fewer - all_of_them).abs().amax(1) > _ROUNDING * size
    return bool(changed.float().mean() > 0.1)


def climb_together(survivors: Survivors, view: View) -> None:
    """Follow the gradient of the sum over all images, each in its ball, from several starts.

    An image that is wrong by a margin is worth no more, so that it does not hold back the others. The batch with
    the most wrong answers is kept as it is.
    """
    every = torch.arange(len(survivors.x))
    for turn in itertools.count():
        image = survivors.start(every, 0) if turn else survivors.x.clone()
        slope = torch.zeros_like(image)
        for step in range(_STEPS):
            if survivors.budget.left(every) < view.cost + 1 or survivors.settled.all():
                return
            lead, gradient = _slope(survivors, view, image, every)
            if int((lead > 0).sum()) > int(survivors.broken.sum()):
                survivors.ask(every, image)
            slope = _MOMENTUM * slope + gradient
            size = max(0.02, 0.2 * (1 + math.cos(math.pi * step / _STEPS)))
            ahead = image + survivors.ball.eps * size * survivors.ball.direction(slope)
            image = survivors.ball.project(survivors.x, ahead)
        survivors.ask(every, image)


def _slope(
    survivors: Survivors, view: View, image: torch.Tensor, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lead of another class (N,), and the gradient of what the batch is worth (N, C, H, W)."""
    point = image.clone().requires_grad_()
    try:
        lead = margin_of(as_logits(view.logits(point, rows)), survivors.y)
        size = lead.detach().abs().mean().clamp(min=1e-12)
        (gradient,) = torch.autograd.grad(-F.softplus(-4 * lead / size).sum(), point)
    except BenchError:
        raise
    except Exception as error:  # a model is anybody's code
        raise NoGradient(str(error)) from error
    return lead.detach(), torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)

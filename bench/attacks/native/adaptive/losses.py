"""What the gradient ascent increases, in a form that neither saturation nor a temperature hides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F

#: The smallest probability that is told from 0.
_LEAST = 1e-38


@dataclass(frozen=True, slots=True)
class Aim:
    """What is increased.

    Attributes:
        loss: `ce`, the cross-entropy of logits scaled to a margin of 1; `margin`, the largest other logit less
            that of the label; `dlr`, the difference of logits ratio.
        rank: 0 for whatever class is nearest; else the class that was the rank-th likeliest beside the
            label for the clean image, whose margin is increased.
    """

    loss: Literal["ce", "margin", "dlr"]
    rank: int = 0


def margin_of(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the largest other logit less that of the label, (N,): above 0 where the label is lost.

    Args:
        logits: (N, C), at least two classes.
        y: labels, int64 (N,).
    """
    own = logits.gather(1, y[:, None]).squeeze(1)
    return logits.scatter(1, y[:, None], -torch.inf).amax(1) - own


def loss_of(
    logits: torch.Tensor, y: torch.Tensor, target: torch.Tensor | None, aim: Aim
) -> torch.Tensor:
    """Return what is increased for each image, (N,).

    `ce` is taken of logits divided by the size of their own margin, as a constant: a softmax whose
    largest probability rounds to 1 has no gradient, and a temperature hides none of it then (Carlini and
    Wagner, 'Defensive distillation is not robust to adversarial examples', 2016). `dlr` is of Croce and
    Hein, 'Reliable evaluation of adversarial robustness', ICML 2020, equation 6.

    Args:
        logits: (N, C).
        y: labels, int64 (N,).
        target: classes aimed at, int64 (N,), for an aim with a rank.
        aim: which loss.
    """
    if target is not None:
        return (logits.gather(1, target[:, None]) - logits.gather(1, y[:, None])).squeeze(1)
    if aim.loss == "ce":
        size = margin_of(logits, y).abs().detach().clamp(min=1e-12)
        return F.cross_entropy(logits / size[:, None], y, reduction="none")
    margin = margin_of(logits, y)
    if aim.loss == "margin" or logits.shape[1] < 3:
        return margin
    ordered = logits.sort(1, descending=True).values
    return margin / (ordered[:, 0] - ordered[:, 2]).clamp(min=1e-12)


def as_logits(scores: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of scores (N, C) that are probabilities, and others as they are.

    The logarithm of a probability that rounds to 0 has no gradient, so those are kept apart from 0.
    """
    known = scores.detach()
    if scores.shape[1] > 1 and bool(
        ((known >= 0) & (known <= 1 + 1e-4)).all() and ((known.sum(1) - 1).abs() < 1e-3).all()
    ):
        return scores.clamp(min=_LEAST).log()
    return scores

"""FGSM that also returns its images before they are clipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F

from bench.attacks.instrument import Probe
from bench.attacks.native.result import NativeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FGSM:
    """The parameters of FGSM.

    Attributes:
        eps: the length of the step, in linf.
        loss: what the step increases, or decreases if the attack is targeted.
        targeted: whether the classes are targets.
        eot: how many gradients are averaged, for random models.
    """

    eps: float
    loss: Literal["ce", "logit"]
    targeted: bool
    eot: int


def fgsm(model: Probe, x: torch.Tensor, classes: torch.Tensor, parameters: FGSM) -> NativeResult:
    """Take one step along the sign of a gradient: x + eps sign(grad loss), clipped to [0, 1].

    Goodfellow et al., 'Explaining and harnessing adversarial examples', ICLR 2015, section 4, where the
    loss is the cross-entropy. With `logit` the loss is -f_y, f being the logits. It depends on the true
    class alone, so its gradient has other signs than that of the cross-entropy.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1].
        classes: int64 (N,), the classes to leave, or the target classes.
        parameters: of the attack.
    """
    point = x.clone().requires_grad_()
    losses = [_loss(model(point), classes, parameters.loss) for _ in range(parameters.eot)]
    (slope,) = torch.autograd.grad(torch.stack(losses).mean(), point)
    step = -parameters.eps if parameters.targeted else parameters.eps
    unclipped = x + step * slope.sign()
    steps = torch.ones(len(x), dtype=torch.int64)
    return NativeResult(unclipped.clamp(0, 1), steps, unclipped)


def _loss(
    logits: torch.Tensor, classes: torch.Tensor, loss: Literal["ce", "logit"]
) -> torch.Tensor:
    if loss == "ce":
        return F.cross_entropy(logits, classes)
    return -logits.gather(1, classes[:, None]).mean()

"""L-BFGS, the first published attack: box-constrained minimisation of distance plus loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from bench.attacks.instrument import Probe
from bench.attacks.native.result import NativeResult

_FACTOR = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LBFGS:
    """The parameters of L-BFGS.

    Attributes:
        c: weight of the distance in the first minimisation.
        steps: largest number of L-BFGS-B iterations in each minimisation.
        search_steps: number of minimisations.
    """

    c: float
    steps: int
    search_steps: int


def lbfgs(
    model: Probe,
    x: torch.Tensor,
    y: torch.Tensor,
    target: torch.Tensor | None,
    parameters: LBFGS,
) -> NativeResult:
    """Minimise a weighted distance plus the loss within the box, searching for the weight.

    Szegedy et al., 'Intriguing properties of neural networks', ICLR 2014, section 4.1:

        minimise  c |r|_2^2 + loss(x + r)   so that   x + r in [0, 1]^m

    with |r| squared, since |r| has no gradient at r = 0, where the search starts. With f the logits,
    the loss is the cross-entropy of the target class t; for an untargeted attack, that of the
    likeliest class but y against y alone. The negative cross-entropy of y has no minimum, and points
    away from y, towards no class in particular.

        loss = log sum_k exp f_k - f_t     or     log(1 + exp(f_y - max_{k != y} f_k))

    As in the paper, the search is for the c whose minimiser just fools the model: c changes tenfold
    until that c lies between two weights, then their geometric mean is tried. Of all points evaluated,
    the nearest one that fools the model counts. Images are attacked one at a time, since torch's own
    L-BFGS has no box and a single curvature for a whole batch; so no image depends on another.

    Args:
        model: images in [0, 1] to logits.
        x: float32 (N, C, H, W) in [0, 1].
        y: int64 (N,), the labels to leave.
        target: int64 (N,), the target classes; None for any but y.
        parameters: of the attack.

    Returns:
        The images (the clean one if none was found) and the total iterations of each.
    """
    nearest = x.clone()
    iterations = torch.zeros(len(x), dtype=torch.int64)
    for row in range(len(x)):
        wanted = None if target is None else int(target[row])
        image = _Image(model, x[row], int(y[row]), wanted)
        with model.playing([row]):
            iterations[row] = _search(image, parameters)
        nearest[row] = image.nearest
    return NativeResult(nearest, iterations)


class _Image:
    """The objective for one image; it remembers the nearest point that fooled the model."""

    def __init__(self, model: Probe, x: torch.Tensor, y: int, target: int | None) -> None:
        self.model = model
        self.y, self.target = y, target
        self.nearest = x
        self.least = np.inf
        self.start = x.flatten().cpu().numpy().astype(np.float64)

    def __call__(self, flat: np.ndarray[Any, Any], c: float) -> tuple[float, np.ndarray[Any, Any]]:
        """Return c |r|^2 + loss at a point and its gradient."""
        point = torch.from_numpy(flat).to(self.nearest).view(1, *self.nearest.shape)
        logits = self.model(point.requires_grad_())
        loss = self._loss(logits[0])
        (slope,) = torch.autograd.grad(loss, point)
        change = flat - self.start
        square = float(change @ change)
        if square < self.least and self._fooled(logits):
            self.least, self.nearest = square, point.detach()[0]
        slopes = slope.flatten().cpu().numpy().astype(np.float64)
        return c * square + loss.item(), 2 * c * change + slopes

    def fooled(self, flat: np.ndarray[Any, Any]) -> bool:
        """Return whether a point fools the model."""
        point = torch.from_numpy(flat).to(self.nearest).view(1, *self.nearest.shape)
        with torch.no_grad():
            return self._fooled(self.model(point))

    def _fooled(self, logits: torch.Tensor) -> bool:
        label = int(logits.argmax(1))
        return label != self.y if self.target is None else label == self.target

    def _loss(self, logits: torch.Tensor) -> torch.Tensor:
        if self.target is not None:
            return logits.logsumexp(0) - logits[self.target]
        others = torch.cat([logits[: self.y], logits[self.y + 1 :]])
        return torch.nn.functional.softplus(logits[self.y] - others.amax())


def _search(image: _Image, parameters: LBFGS) -> int:
    """Search for the largest c whose minimiser fools the model; return the iterations it took."""
    low, high = 0.0, np.inf  # the largest c that fooled, the smallest that did not
    box = [(0.0, 1.0)] * len(image.start)
    c, iterations = parameters.c, 0
    for _ in range(parameters.search_steps):
        done = minimize(
            image,
            image.start,
            args=(c,),
            jac=True,
            method="L-BFGS-B",
            bounds=box,
            options={"maxiter": parameters.steps},
        )
        iterations += int(done.nit)
        if image.fooled(done.x):
            low = c
        else:
            high = c
        if low == 0:
            c /= _FACTOR
        elif high == np.inf:
            c *= _FACTOR
        else:
            c = float(np.sqrt(low * high))
    return iterations

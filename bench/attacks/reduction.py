"""Confidence reduction: from an image that fools a model back to one that only unsettles it.

No toolkit has an attack of this goal. Every attack that moves an image across a boundary passes
points before it where the label still holds and the confidence is low, so the image found is drawn
back towards the clean one, to the last point that keeps the label. All norms shrink on the way, so
the budget holds. An image that kept its label is left as it is.
"""

from __future__ import annotations

import torch

from bench.attacks.instrument import Probe

_HALVINGS = 15


def drawn_back(probe: Probe, x: torch.Tensor, y: torch.Tensor, x_adv: torch.Tensor) -> torch.Tensor:
    """Return for each image the last point on the way to `x_adv` that the model labels `y`.

    Found by bisection to 2^-15 of the way; where the label changes more than once, it is one of the
    changes.

    Args:
        probe: the model, images to logits; it is asked 16 times.
        x: clean images (N, C, H, W), labelled `y`.
        y: labels (N,).
        x_adv: the images an attack found, of the same shape.
    """
    with torch.no_grad():
        turned = probe(x_adv).argmax(1) != y
        low = x_adv.new_zeros(len(x), 1, 1, 1)
        high = torch.ones_like(low)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            kept = (probe(x + middle * (x_adv - x)).argmax(1) == y).view(-1, 1, 1, 1)
            low, high = torch.where(kept, middle, low), torch.where(kept, high, middle)
        back = x + low * (x_adv - x)
    return torch.where(turned.view(-1, 1, 1, 1), back, x_adv)

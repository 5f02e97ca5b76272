"""The losses whose gradient an adapter offers, one value per image."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from bench.errors import SpecError
from bench.spec import Loss


def per_image_loss(logits: torch.Tensor, y: torch.Tensor, loss: Loss) -> torch.Tensor:
    """Return each image's loss, (N,); an untargeted attack makes it larger.

    Args:
        logits: (N, C).
        y: true labels, int64 (N,).
        loss: `ce`, cross-entropy; `margin`, the largest other logit minus the true one (Carlini and
            Wagner 2017, f6 with the sign turned); `dlr`, the difference of logits ratio (Croce and
            Hein 2020, equation 6), which needs three classes.

    Raises:
        SpecError: an unknown loss, or `dlr` with fewer than three classes.
    """
    if loss == "ce":
        return F.cross_entropy(logits, y, reduction="none")
    true = logits.gather(1, y[:, None]).squeeze(1)
    largest_other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    if loss == "margin":
        return largest_other - true
    if loss == "dlr":
        if logits.shape[1] < 3:
            raise SpecError(f"loss 'dlr' needs at least 3 classes, the model has {logits.shape[1]}")
        ordered = logits.sort(1, descending=True).values
        return (largest_other - true) / (ordered[:, 0] - ordered[:, 2] + 1e-12)
    raise SpecError(f"no loss named {loss!r}; known: ce, margin, dlr")

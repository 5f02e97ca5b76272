"""The model wrapped for ART, and how ART's attacks are started."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.attacks.job import Job


@cache
def classifier_class() -> type[Any]:
    """Return the class that wraps models for ART."""
    from art.estimators.classification import PyTorchClassifier

    class Estimator(PyTorchClassifier):  # type: ignore[misc]
        """ART's classifier, where a gradient of one class per row takes one backward pass, not one per class."""

        def class_gradient(
            self, x: Any, label: Any = None, training_mode: bool = False, **kwargs: Any
        ) -> Any:
            if not isinstance(label, np.ndarray):
                return super().class_gradient(x, label, training_mode, **kwargs)
            images = torch.from_numpy(x).to(self.device).requires_grad_()
            chosen = self.model(images).gather(1, torch.from_numpy(label).to(self.device)[:, None])
            (gradient,) = torch.autograd.grad(chosen.sum(), images)
            return gradient.unsqueeze(1).cpu().numpy()

    return Estimator


def classifier(
    job: Job,
    kind: type[Any] | None = None,
    net: nn.Module | None = None,
    loss: nn.Module | None = None,
) -> Any:
    """Return the model, or `net` in its place, wrapped for ART on the device of the images.

    Args:
        job: the attack.
        kind: the class of the classifier; None for `classifier_class`.
        net: what takes the place of the model; None for the model itself.
        loss: a loss of logits and labels; None for the cross-entropy.
    """
    # ART's 'gpu' means the current device.
    with torch.cuda.device(job.x.device) if job.x.is_cuda else nullcontext():
        return (kind or classifier_class())(
            model=job.probe if net is None else net,
            loss=nn.CrossEntropyLoss() if loss is None else loss,
            input_shape=tuple(job.x.shape[1:]),
            nb_classes=job.num_classes,
            clip_values=(0.0, 1.0),
            device_type="gpu" if job.x.is_cuda else "cpu",
        )


def one_hot(job: Job) -> torch.Tensor:
    """Return the job's classes one-hot; ART takes label columns of two classes for a single output."""
    return nn.functional.one_hot(job.goal, job.num_classes).float()


def generate(job: Job, attack: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the images of an attack that is given the job's classes."""
    x_adv = attack.generate(x.cpu().numpy(), one_hot(job).cpu().numpy())
    return torch.from_numpy(x_adv).to(job.x)

"""What several of its attacks share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.attacks.job import Job


def model(job: Job, net: nn.Module | None = None) -> Any:
    """Return the model, or what stands for it, as Foolbox sees it."""
    from foolbox.models.pytorch import PyTorchModel

    return PyTorchModel(job.probe if net is None else net, bounds=(0, 1), device=job.x.device)


def criterion(job: Job, rows: Any = slice(None)) -> Any:
    """Return what Foolbox is to reach with some rows: the wanted class, or any but the label."""
    from foolbox.criteria import Misclassification, TargetedMisclassification

    kind = Misclassification if job.target is None else TargetedMisclassification
    return kind(job.goal[rows])


def within_budget(job: Job, attack: Any) -> torch.Tensor:
    """Return the image of a fixed-budget attack, clipped to the budget: Foolbox's may exceed it."""
    found = attack.run(model(job), job.x, criterion(job), epsilon=job.eps)
    clipped: torch.Tensor = attack.distance.clip_perturbation(job.x, found, job.eps)
    return clipped


def clean_unless_found(job: Job, found: torch.Tensor) -> torch.Tensor:
    """Return images with the clean one where all is zero, which is how Foolbox says none found."""
    return torch.where((found == 0).flatten(1).all(1).view(-1, 1, 1, 1), job.x, found)

"""What several attacks of Foolbox share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.attacks.job import Job


def model(job: Job, net: nn.Module | None = None) -> Any:
    """Return the model, or `net` in its place, wrapped for Foolbox."""
    from foolbox.models.pytorch import PyTorchModel

    return PyTorchModel(job.probe if net is None else net, bounds=(0, 1), device=job.x.device)


def criterion(job: Job, rows: Any = slice(None)) -> Any:
    """Return the goal of some rows for Foolbox: the target class, or any class but the label."""
    from foolbox.criteria import Misclassification, TargetedMisclassification

    kind = Misclassification if job.target is None else TargetedMisclassification
    return kind(job.goal[rows])


def within_budget(job: Job, attack: Any) -> torch.Tensor:
    """Return the images of a fixed-budget attack, clipped to the budget, which Foolbox may exceed."""
    x_adv = attack.run(model(job), job.x, criterion(job), epsilon=job.eps)
    clipped: torch.Tensor = attack.distance.clip_perturbation(job.x, x_adv, job.eps)
    return clipped


def clean_unless_found(job: Job, x_adv: torch.Tensor) -> torch.Tensor:
    """Return images, with the clean one in place of an all-zero one (Foolbox's sign for 'none found')."""
    return torch.where((x_adv == 0).flatten(1).all(1).view(-1, 1, 1, 1), job.x, x_adv)

"""A model of the digits under a threat, for tests of the checks that need one: attacked here and now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from digits_network import shipped
from torch import nn

import bench
from bench.attacks.catalogue import resolve
from bench.data.datasets import load
from bench.runner.further import attack_further
from bench.spec import number
from bench.trust.bounds import Bounds
from bench.trust.checked_model import CheckedModel
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.registry import Finding, all_checks


class Behind(nn.Module):
    """A good network behind something else."""

    def __init__(self, change: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.change, self.net = change, shipped()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(self.net, x)


def rounded(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return the logits of images rounded to five grey values: their gradient is zero."""
    return net((x * 4).round() / 4)


def leaky(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return the logits of rounded images with a trace of the rest, of the wrong sign."""
    steps = (x * 4).round() / 4
    return net(steps - 0.05 * (x - steps))


def loud(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return logits so large that a softmax of them rounds to 0 and 1."""
    return 1000 * net(x)


def threat(
    net: Any,
    eps: str = "0.1",
    norm: str = "linf",
    images: int = 64,
    attack: str | None = "pgd",
    bounds: Mapping[str, float] | None = None,
    **parameters: Any,
) -> CheckedThreat:
    """Return a model under a threat, after one attack.

    Args:
        net: an adapter, or a network that is wrapped as one.
        eps: the radius, as text.
        norm: of the threat.
        images: how many, from the first on.
        attack: that of the run; None for none, so that every image that the model gets right is robust.
        bounds: of checks, those of the suite.
        parameters: of the attack.
    """
    adapter = bench.wrap(net, 10, (1, 8, 8)) if isinstance(net, nn.Module) else net
    part = load("digits", "test").first(images)
    model = CheckedModel(adapter, "digits", bounds=Bounds(bounds or {}))
    correct = model.judge.predict(part.images.clone()).labels == part.labels
    made: dict[str, Any] = {
        "model": model, "title": "model", "norm": norm, "eps": number(eps), "eps_text": eps,
        "x": part.images, "y": part.labels, "correct": correct, "pictures": lambda cell: {},
        "seed": 0, "run_attack": attack_further,
    }  # fmt: skip
    before = CheckedThreat(**made, robust=correct, cells=pd.DataFrame())
    if attack is None:
        return before
    tried = before.attack(attack, **parameters)
    words = dict(resolve(attack, norm, eps, parameters).parameters)  # as a stored cell has them
    robust = correct.clone()
    robust[tried.places[tried.broken]] = False
    cells = pd.DataFrame([{
        "cell": "cell-0", "attack": attack, "norm": norm, "eps": eps, "radius": number(eps),
        "toolkit": "torchattacks", "surface": next(iter(model.judge.surfaces()), "predict"),
        "kind": "fixed", "access": "white", "goal": "misclassification", "parameters": words,
        "status": "done", "flag": "", "shows_robust": True, "crafted_on": None,
        "broken": int(tried.broken.sum()),
    }])  # fmt: skip
    return CheckedThreat(**made, robust=robust, cells=cells)


def found(check: str, subject: Any) -> Finding:
    """Return the one finding of a check on a model or threat."""
    (finding,) = all_checks()[check].findings(subject)
    return finding

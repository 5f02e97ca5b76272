"""A model under a threat, for tests of the checks that need one: small images, attacked here and now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

import bench
from bench.data.datasets import load
from bench.runner.further import attack_further
from bench.spec import number
from bench.trust.bounds import Bounds
from bench.trust.checked_model import CheckedModel
from bench.trust.checked_threat import CheckedThreat

#: The attack that a run made, where a test says nothing else.
PGD: Mapping[str, Any] = {"steps": 10}


def threat(
    net: Any,
    eps: str = "0.1",
    norm: str = "linf",
    images: int = 64,
    attack: str | None = "pgd",
    bounds: Mapping[str, float] | None = None,
    **parameters: Any,
) -> CheckedThreat:
    """Return a model of the digits under a threat, after one attack.

    Args:
        net: an adapter, or a network that is wrapped as one.
        eps: the radius, as text.
        norm: of the threat.
        images: how many, from the first on.
        attack: that of the run; None for none, so that every image that the model gets right is robust.
        bounds: of checks, those of the suite.
        parameters: of the attack.
    """
    adapter = bench.wrap(net, 10, (1, 8, 8)) if isinstance(net, torch.nn.Module) else net
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
    words = dict(parameters or (PGD if attack == "pgd" else {}))
    tried = before.attack(attack, **words)
    robust = correct.clone()
    robust[tried.places[tried.broken]] = False
    toolkit = "torchattacks" if attack == "pgd" else "foolbox"
    cells = pd.DataFrame([{
        "cell": "cell-0", "attack": attack, "norm": norm, "eps": eps, "radius": number(eps),
        "toolkit": toolkit, "surface": next(iter(adapter.surfaces()), "predict"), "kind": "fixed",
        "access": "white", "goal": "misclassification", "parameters": words, "status": "done",
        "flag": "", "shows_robust": True, "crafted_on": None, "broken": int(tried.broken.sum()),
    }])  # fmt: skip
    return CheckedThreat(**made, robust=robust, cells=cells)

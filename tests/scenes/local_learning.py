"""A run of the study of local learning: critical eps, filters and options are known beforehand."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import build
import numpy as np
from build import cell, claim
from scipy.stats import logistic

from bench.store.results import Results
from bench.train.local_learning.names import local_recipe

PUBLISHED = Path(__file__).parents[2] / "bench" / "studies" / "local_learning" / "published.csv"
#: The images of the cells that measure radii, and of the attacks with a budget.
IMAGES, FEWER = 700, 50
#: Critical eps under FGSM and share of wrong answers of each model.
MODELS = {
    "cifar10/ll-K10-w4-m3-p2-n4-pool5-gelu": (0.0178, 0.38),
    "cifar10/ll-K10-w4-m3-p2-n4-pool5-gelu-seed1": (0.0176, 0.39),
    "cifar10/ll-K10-w4-m3-p2-n4-pool5-gelu-seed2": (0.0180, 0.37),
    "cifar10/bp-K10-w4-n4-pool5-gelu": (0.0062, 0.41),
    "cifar10/bp-K10-w4-n4-pool5-gelu-seed1": (0.0064, 0.42),
    "cifar10/ll-K10-w12-m3-p2-n4-pool9-gelu": (0.0400, 0.47),
    "cifar10/bp-K10-w12-n4-pool9-gelu": (0.0085, 0.43),
    "cifar10/ll-K20-w4-m5-p4-n16-pool9-elu": (0.0090, 0.28),
    "cifar10/bp-K20-w4-n1-pool9-elu": (0.0080, 0.27),
}
_ATTACKS = {"fgsm-radius": 1.0, "ifgsm-radius": 0.93}


def radii(middle: float) -> np.ndarray:
    """Return radii of which the curve is an ordinary logistic about a middle."""
    share = (np.random.default_rng(0).permutation(IMAGES) + 0.5) / IMAGES
    return np.clip(middle * (1 + 0.2 * logistic.ppf(share)), 1e-6, None)


def options(model: str) -> dict[str, Any]:
    """Return what a run's log says of how a model was trained."""
    recipe = local_recipe(model)
    assert recipe is not None
    given = {**dict(recipe.options), "seed": recipe.seed}
    if recipe.rule is not None:
        given |= {"m": recipe.rule.m, "delta": recipe.rule.delta}
    return given


def filters(turn: int, width: int, channels: int = 3) -> dict[str, Any]:
    """Return snapshots of filters at three epochs."""
    rng = np.random.default_rng(turn)
    shape = (100, channels, width, width)
    drawn = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(3)]
    return {
        "shape": list(shape),
        "epochs": {
            epoch: base64.b64encode(one.tobytes()).decode()
            for epoch, one in zip(("1", "15", "30"), drawn, strict=True)
        },
    }


def results() -> Results:
    """Return the results of a run of the study in which every cell is done."""
    cells = [
        cell(model, attack, None, range(IMAGES), radii=radii(factor * middle), toolkit="native",
             clean_confidence=dict.fromkeys(range(IMAGES), 0.95))
        for model, (middle, _) in MODELS.items()
        for attack, factor in _ATTACKS.items()
    ]  # fmt: skip
    cells += [
        cell(model, "pgd", "2/255", range(round(FEWER * (1 - middle * 20))), images=FEWER)
        for model, (middle, _) in MODELS.items()
    ]
    sides = {
        "left": "cifar10/ll-{size}-m3-p2-n{n}-{rest}", "right": "cifar10/bp-{size}-n{n}-{rest}"
    }  # fmt: skip
    claims = [
        claim(**sides, says="LL is more robust", attacks=("fgsm-radius",), eps=(),
              measure="critical_eps"),
        claim(**sides, says="LL stands longer", attacks=("fgsm-radius",), eps=("2/255",)),
    ]  # fmt: skip
    wrong, models = {}, {}
    for turn, (model, (_, share)) in enumerate(MODELS.items()):
        # Of few enough images that 500 are left to measure the critical eps on.
        wrong[model] = np.flatnonzero(np.random.default_rng(turn).random(IMAGES) < share / 4)
        models[model] = {
            "family": "local-learning", "data": "cifar10", "clean_accuracy": 0.6,
            "options": options(model), "f_score": 0.97 if "/ll-" in model else None,
            "filters": filters(turn, int(options(model)["w"])),
        }  # fmt: skip
    return build.results(
        cells, *claims, wrong=wrong, models=models, images=IMAGES,
        suite="local-learning", title="Local learning",
    )  # fmt: skip

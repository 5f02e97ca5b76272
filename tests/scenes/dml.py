"""A run of the study of metric learning: networks against votes of the nearest, three surfaces each.

Image i of a model falls to an attack at a surface where the radius passes a distance of its own, so that
the figures look like those of a real run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import build
import numpy as np

from bench.spec import number
from bench.store.results import Results

PUBLISHED = Path(__file__).parents[2] / "bench" / "studies" / "dml" / "published.csv"
DATA = ("mnist", "fashion-mnist", "cifar10")
OPTIMISERS = ("sgd", "adam")
SURFACES = ("soft-knn", "nearest-other", "metric-loss")
#: How far from the boundary images of a data set are on average, in linf.
_HARD = {"mnist": 0.12, "fashion-mnist": 0.03, "cifar10": 0.02}
#: How many times that distance an attack needs, and how many times more on a surface.
_NEEDS = {"fgsm": 1.5, "bim": 1.05, "pgd": 1.0}
_NEEDS_ON = {"network": 1.0, "soft-knn": 1.1, "nearest-other": 1.3, "metric-loss": 2.0}


def titles(
    data: Sequence[str] = DATA, losses: Sequence[str] = ("contrastive", "triplet"),
    ks: Sequence[int] = (1, 3, 5), distances: Sequence[str] = ("cosine", "euclidean"),
) -> list[str]:  # fmt: skip
    """Return the models' titles; all of the study's by default."""
    found = []
    for one in data:
        found += [f"{one}/dl-cross-entropy-{optimiser}" for optimiser in OPTIMISERS]
        found += [
            f"{one}/dml-{loss}-{optimiser}-knn{k}-{distance}"
            for loss in losses for optimiser in OPTIMISERS for k in ks for distance in distances
        ]  # fmt: skip
    return found


def results(
    models: Sequence[str], images: int = 20,
    attacks: Sequence[str] = ("pgd", "bim", "fgsm"),
    radii: Sequence[str] = ("0.01", "0.02", "14/255", "1"),
) -> Results:  # fmt: skip
    """Return the results of these models, every cell done."""
    facts = {
        title: {"family": _family(title), "data": title.split("/")[0], "surrogate": _surrogate(title)}
        for title in models
    }  # fmt: skip
    cells = list(_cells(models, attacks, radii, images))
    return build.results(
        cells, models=facts, images=images, suite="dml",
        wrong={title: np.flatnonzero(~_right(title, images)) for title in models},
        title="Deep learning against deep metric learning",
    )  # fmt: skip


def moments(points: int = 60) -> dict[str, Any]:
    """Return an embedding that falls into classes as training goes on."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, points)
    middles = rng.normal(size=(10, 2))
    return {
        "labels": labels.tolist(),
        "epochs": {
            epoch: (spread * middles[labels] + rng.normal(scale=0.25, size=(points, 2))).tolist()
            for epoch, spread in (("1", 0.2), ("25", 0.8), ("50", 2.0))
        },
    }


def _family(title: str) -> str:
    return "neighbours" if "knn" in title else "network"


def _surrogate(title: str) -> dict[str, Any] | None:
    if _family(title) == "network":
        return None
    *_, k, distance = title.split("-")
    return {
        "k": int(k.removeprefix("knn")), "distance": distance, "temperature": 0.0316,
        "left_out_agreement": 0.995, "left_out_images": 2000, "soft_knn_agreement": 0.99,
        "untied": 900, "images": 1000,
    }  # fmt: skip


def _crafted_on(title: str) -> str | None:
    """Return whose surfaces are attacked: for all votes of a trunk those of one neighbour by cosine."""
    trunk, _, rest = title.partition("-knn")
    return None if rest in ("", "1-cosine") else f"{trunk}-knn1-cosine"


def _right(model: str, images: int) -> np.ndarray:
    return _draws(model).random(images) < 0.9


def _broken(model: str, attack: str, surface: str, radius: float, images: int) -> list[int]:
    rng = _draws(model)
    right = rng.random(images) < 0.9
    wall = rng.gamma(2.0, _HARD[model.split("/")[0]] / 2, images)
    needed = wall * _NEEDS[attack] * _NEEDS_ON[surface]
    broken = right & (needed < radius) & (rng.random(images) < 0.97)
    return [int(index) for index in np.flatnonzero(broken)]


def _draws(model: str) -> np.random.Generator:
    return np.random.default_rng(sum(map(ord, model)))  # the same for every cell of the model


def _cells(
    models: Sequence[str], attacks: Sequence[str], radii: Sequence[str], images: int
) -> Iterator[build.PlantedCell]:
    for model in models:
        surfaces = SURFACES if _family(model) == "neighbours" else ("network",)
        for attack in attacks:
            for eps in radii:
                three = eps == "0.02" and ("knn" not in model or model.endswith("knn1-cosine"))
                toolkits = ("torchattacks", "foolbox", "art") if three else ("torchattacks",)
                steps = 1 if attack == "fgsm" else 10
                step = {"steps": 10, "step_size": f"{number(eps) / 4:g}"} if steps > 1 else {}
                for toolkit in toolkits:
                    for surface in surfaces:
                        yield build.cell(
                            model, attack, eps, _broken(model, attack, surface, number(eps), images),
                            toolkit=toolkit, surface=surface, steps=steps,
                            parameters={**step, "targeted": "none"}, crafted_on=_crafted_on(model),
                        )  # fmt: skip

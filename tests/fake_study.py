"""Synthetic results of a study: networks against votes of the nearest, with three surfaces each.

No store is written: reports of a study look at rows alone. Image i of a model falls to an attack at
a surface where the radius passes a distance of its own, so that the figures look like those of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.spec import COLUMNS, LATER_COLUMNS, number
from bench.store.results import Results

PUBLISHED = Path(__file__).parent.parent / "bench" / "studies" / "dml" / "published.csv"
DATA = ("mnist", "fashion-mnist", "cifar10")
OPTIMISERS = ("sgd", "adam")
SURFACES = ("soft-knn", "nearest-other", "metric-loss")
#: How far an image is from the boundary, about, as a share of what an attack is given.
_HARD = {"mnist": 0.12, "fashion-mnist": 0.03, "cifar10": 0.02}
_STEEP = {"fgsm": 1.5, "bim": 1.05, "pgd": 1.0}
_AWRY = {"network": 1.0, "soft-knn": 1.1, "nearest-other": 1.3, "metric-loss": 2.0}
_DTYPES = {"adv_label": "Int64", "target": "Int64", "iterations": "Int64", "forwards": "Int64",
           "backwards": "Int64", "invalid": "str", "certified_radius": "float64",
           "adversarial_radius": "float64"}  # fmt: skip


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


def _surrogate(title: str) -> dict[str, Any] | None:
    if _family(title) == "network":
        return None
    *_, k, distance = title.split("-")
    return {
        "k": int(k.removeprefix("knn")), "distance": distance, "temperature": 0.0316,
        "left_out_agreement": 0.995, "left_out_images": 2000, "soft_knn_agreement": 0.99,
        "untied": 900, "images": 1000,
    }  # fmt: skip


def _climbed(title: str) -> str | None:
    """Return whose surfaces are climbed: those of the vote of one, by cosine, for all on its trunk."""
    trunk, _, rest = title.partition("-knn")
    return None if rest in ("", "1-cosine") else f"{trunk}-knn1-cosine"


class _NoPictures:
    """What reports ask of a store, where nothing was kept."""

    def pictures(self, key: str) -> dict[str, Any]:
        return {}

    def record(self, key: str) -> None:
        return None


def study(
    models: Sequence[str], images: int = 20,
    attacks: Sequence[str] = ("pgd", "bim", "fgsm"),
    radii: Sequence[str] = ("0.01", "0.02", "14/255", "1"),
) -> Results:  # fmt: skip
    """Return results of a suite called `dml` in which every cell is done."""
    cells = pd.DataFrame(list(_cells(models, attacks, radii)))
    rows = pd.concat(
        [_rows(cell, turn, images) for turn, cell in enumerate(cells.to_dict("records"))]
    )
    rows = rows[list(COLUMNS)].astype(_DTYPES).reset_index(drop=True)
    counted = rows.groupby("cell", sort=False).agg(
        images=("index", "size"), correct=("correct", "sum"), successes=("success", "sum"),
        invalid=("invalid", "count"),
    ).astype("Int64")  # fmt: skip
    means = rows[rows["correct"]].groupby("cell")[["seconds", "forwards", "backwards"]].mean()
    cells = cells.merge(counted.join(means.astype("float64")), left_on="cell", right_index=True)
    data = list(dict.fromkeys(title.split("/")[0] for title in models))
    return Results(
        suite="dml", title="Deep learning against deep metric learning",
        started="2026-11-21T05:00:00+00:00",
        protocol={
            "data": data, "split": "test", "images": images, "seed": 0, "batch_size": 100,
            "device": "cpu", "versions": {"python": "3.12", "torch": "2.9.0"}, "host": "nowhere",
        },
        cells=cells.reset_index(drop=True), rows=rows,
        models=[
            {"model": title, "family": _family(title), "clean_accuracy": 0.9,
             "data": title.split("/")[0], "moments": None, "surrogate": _surrogate(title)}
            for title in models
        ],
        left_out=[], claims=(), store=_NoPictures(),  # type: ignore[arg-type]
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


def _cells(
    models: Sequence[str], attacks: Sequence[str], radii: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for model in models:
        surfaces = SURFACES if _family(model) == "neighbours" else ("network",)
        for attack in attacks:
            for eps in radii:
                three = eps == "0.02" and ("knn" not in model or model.endswith("knn1-cosine"))
                toolkits = ("torchattacks", "foolbox", "art") if three else ("torchattacks",)
                for toolkit in toolkits:
                    for surface in surfaces:
                        key = f"{model}|{attack}|{eps}|{toolkit}|{surface}"
                        step = (
                            {}
                            if attack == "fgsm"
                            else {"steps": 10, "step_size": f"{number(eps) / 4:g}"}
                        )
                        yield {
                            "cell": key, "model": model, "family": _family(model),
                            "attack": attack, "norm": "linf", "eps": eps, "toolkit": toolkit,
                            "surface": surface, "goal": "misclassification", "targeted": "none",
                            "parameters": {**step, "targeted": "none"}, "kind": "fixed",
                            "access": "white", "status": "done", "error": None,
                            "radius": number(eps), "data": model.split("/")[0], "climbed": _climbed(model),
                        }  # fmt: skip


def _rows(cell: dict[str, Any], turn: int, images: int) -> pd.DataFrame:
    rng = np.random.default_rng(sum(map(ord, cell["model"])))  # the same images for every cell
    right = rng.random(images) < 0.9
    wall = (
        rng.gamma(2.0, _HARD[cell["data"]] / 2, images)
        if cell["data"] in _HARD
        else rng.random(images) / 10
    )
    wall = wall * _STEEP[cell["attack"]] * _AWRY[cell["surface"]]
    success = right & (wall < cell["radius"]) & (rng.random(images) < 0.97)
    labels = rng.integers(0, 10, images)
    tried = np.where(right, cell["radius"], np.nan)
    passes = 1 if cell["attack"] == "fgsm" else 10
    return pd.DataFrame({
        "cell": cell["cell"], "kind": "attack", "dataset": cell["data"], "split": "test",
        "index": range(images), "model": cell["model"], "family": cell["family"],
        "attack": cell["attack"], "toolkit": cell["toolkit"], "surface": cell["surface"],
        "norm": "linf", "eps": cell["radius"], "goal": "misclassification", "targeted": "none",
        "target": None, "label": labels, "clean_label": np.where(right, labels, (labels + 1) % 10),
        "adv_label": pd.array(np.where(success, (labels + 1) % 10, labels), "Int64"),
        "clean_confidence": 0.9, "adv_confidence": 0.8, "correct": right, "success": success,
        "invalid": None, "borderline": False, "abstained": False, "l0": tried * 784,
        "l1": tried * 784, "l2": tried * 28, "linf": tried, "iterations": passes,
        "forwards": right * (passes + 2), "backwards": right * passes,
        "seconds": right * 0.001 * passes, "seed": turn, "certified_radius": None,
        "adversarial_radius": None, **dict.fromkeys(LATER_COLUMNS),
    }).assign(adv_label=lambda made: made["adv_label"].where(made["correct"]))  # fmt: skip

"""What a standard suite says of a model: the harness's own headline, from a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import build

import bench
from bench.model_names import MODELS
from bench.spec import number

from .scene import Scene


def attacks(norm: str, eps: str, steps: int = 40) -> list[dict[str, Any]]:
    """Return the attacks of a standard suite under one threat: those of the suites of the digits."""
    one = {"toolkits": ["torchattacks"]}
    named = {"norm": norm, "eps": eps}
    made: list[dict[str, Any]] = [
        {"name": "noise", **named},
        {"name": "pgd", **named, "steps": steps, "random_start": [True, False], **one},
    ]
    if norm == "linf":
        made += [
            {"name": "fgsm", **named, **one},
            {"name": "bim", **named, **one},
            {"name": "mi-fgsm", **named, **one},
            {"name": "deepfool", "norm": norm, "steps": 20},
        ]
    return made


def run(scene: Scene, folder: Path, count: int | None = None, **head: Any) -> bench.api.Run:
    """Return a run of the standard suite on the model of a scene; its results are left in a folder.

    The model is registered under the scene's name, so the test has to forget that (`registry`).
    """
    name = f"{scene.data}/{scene.name.replace(' ', '-').lower()}"
    if name not in MODELS:
        bench.register_model(name, data=scene.data)(scene.build)
    path = folder / "standard.toml"
    chosen = [one for one in attacks(scene.norm, scene.eps) if one["name"] not in scene.without]
    path.write_text(
        build.suite([name], chosen, data=scene.data, images=count or scene.count, **head)
    )
    return bench.run(path, results=folder / "results", models=(name,))


class Said(NamedTuple):
    """What a run of the standard suite says of a model.

    Attributes:
        withstood: the share of images that withstood every attack that the suite names, in percent, whether
            or not these attacks are evidence.
        headline: the robust accuracy that the headline states, in percent; None where it states none.
        flag: what the headline says beside its figure.
        trust: the headline's verdict on its figure; empty where it gives none.
        caught: the checks that failed.
    """

    withstood: float
    headline: float | None
    flag: str
    trust: str
    caught: tuple[str, ...]


def says(scene: Scene, folder: Path, count: int | None = None) -> Said:
    """Return what the standard suite says of the model of a scene; see `run`."""
    done = run(scene, folder, count)
    rows = done.samples()
    rows = rows[rows["attack"].isin([one["name"] for one in attacks(scene.norm, scene.eps)])]
    size = rows[scene.norm].fillna(math.inf)
    broken = rows["success"] & (size <= number(scene.eps) * (1 + 1e-5) + 1e-6)
    robust = rows["correct"] & ~rows["index"].isin(rows["index"][broken])
    share = 100 * rows["index"][robust].nunique() / (count or scene.count)
    table = done.headline()
    table = table[(table["norm"] == scene.norm) & (table["eps"] == number(scene.eps))]
    found = done.findings()
    caught = tuple(dict.fromkeys(found.loc[found["status"] == "fail", "check"]))
    if table.empty:
        return Said(share, None, "no headline", "", caught)
    (row,) = table.itertuples()
    stated = None if math.isnan(row.robust_accuracy) else 100 * row.robust_accuracy
    return Said(share, stated, str(row.flag or ""), str(getattr(row, "trust", "")), caught)

"""The cells of the fooling study's suite with planted pictures, traces and perturbations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from build import PlantedCell, cell, results

import bench.studies.fooling as study
from bench.attacks.catalogue import is_fitted, resolve
from bench.report.findings import Findings, find
from bench.report.measured import measure
from bench.runner.suite import load_suite
from bench.store.fits import write_fit

PUBLISHED = Path(study.__file__).with_name("published.csv")
IMAGES, SHAPE = 20, (3, 8, 8)
KEPT = 16
#: Every image but these is fooled by every attack; the first is wrong when clean.
WRONG, HELD = (3,), (0, 5, 10)
PHOTOGRAPHER = "imagenet/efficientnet-lite0"


@dataclass
class Kept:
    """What is asked of a store, from what was planted for each cell."""

    root: Path
    cells: Mapping[str, PlantedCell]
    without: frozenset[str] = frozenset()
    fits: dict[str, dict[str, Any]] = field(default_factory=dict)

    def record(self, key: str) -> dict[str, Any] | None:
        one = self.cells[key]
        if one.status != "done":
            return None
        if is_fitted(one.attack) and key not in self.fits:
            v = torch.full(SHAPE, one.radius / 20)
            self.fits[key] = write_fit(self.folder(key), v, {"fooling": 0.8})
        return {"fit": self.fits[key]} if key in self.fits else {}

    def folder(self, key: str) -> Path:
        (self.root / key / "arrays").mkdir(parents=True, exist_ok=True)
        return self.root / key

    def pictures(self, key: str) -> dict[str, torch.Tensor]:
        one = self.cells[key]
        if one.attack in self.without or one.status != "done":
            return {}
        count = min(KEPT, one.images or IMAGES)
        x = torch.stack([torch.full(SHAPE, 0.02 * index) for index in range(count)])
        x_adv = x.clone()
        x_adv[:, :, 0, 0] += 0.25
        return {"index": torch.arange(count), "x": x, "x_adv": x_adv}

    def trace(self, key: str) -> pd.DataFrame | None:
        """Return the values 0.9, 0.7, 0.5, ... of as many generations as the image has, for one-pixel."""
        one = self.cells[key]
        if one.attack != "one-pixel":
            return None
        steps = [
            (index, step) for index in range(one.images or IMAGES) for step in range(2 + index % 3)
        ]
        index, step = np.array(steps).T
        return pd.DataFrame({"index": index, "step": step, "value": 0.9 - 0.2 * step})


def cells() -> list[PlantedCell]:
    """Return the cells of the suite."""
    suite = load_suite("fooling")
    return [
        planted(
            model.title(), asked.spec.name, asked.spec.norm, asked.spec.eps, dict(asked.spec.parameters),
            images=min(IMAGES, int(asked.images or IMAGES)), batch_size=asked.batch_size or 100,
        )
        for model in suite.models
        for asked in suite.attacks
        if asked.is_on(model)
    ]  # fmt: skip


def planted(
    model: str, name: str, norm: str, eps: Any, parameters: Mapping[str, Any], **more: Any
) -> PlantedCell:
    """Return a cell that fools the model on all images but `HELD`, unless `broken` says on which."""
    spec = resolve(name, norm, eps, parameters)
    sizes = {"clean_l2": 10.0, "clean_linf": 1.0, "changed_pixels": 0.02, "changed_values": 0.01}
    images = more.get("images", IMAGES)
    goal = {"goal": "targeted"} if dict(spec.parameters).get("targeted", "none") != "none" else {}
    broken = more.pop("broken", set(range(images)) - set(HELD))
    return cell(
        model, name, spec.eps, broken, norm=norm, toolkit="native",
        parameters=dict(spec.parameters), columns={**sizes, "l0": 1.0}, **goal, **more,
    )  # fmt: skip


def findings(root: Path, made: Sequence[PlantedCell], without: Collection[str] = ()) -> Findings:
    """Return the findings of a run of some cells.

    Args:
        root: where perturbations are stored.
        made: the cells.
        without: the attacks that kept no pictures.
    """
    data = {one.model: "natural" if one.model == PHOTOGRAPHER else "cifar10" for one in made}
    run = results(
        made, images=IMAGES, models={model: {"data": of} for model, of in data.items()},
        wrong=dict.fromkeys(data, WRONG),
        store=Kept(root, {f"cell-{turn}": one for turn, one in enumerate(made)}, frozenset(without)),
    )  # fmt: skip
    return find(run, measure(run), PUBLISHED)

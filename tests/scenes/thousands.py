"""A store of thousands of cells, written by the store's own code: what speed is measured on.

The suite and the plug-in with its data set and models are files as users write them, so that every command
takes them; the rows are drawn, and no attack runs. An image lies at a drawn distance from the boundary of each
model, and an attack breaks it where its radius reaches that distance.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest import mock

import build
import numpy as np
import pandas as pd

from bench.registry import load_plugin
from bench.runner.manifest import cell_facts, made_by, manifest
from bench.runner.plan import Plan, make_plan
from bench.runner.suite import load_suite
from bench.spec import COLUMNS, Cell
from bench.store.identity import identity
from bench.store.parts import Arrays
from bench.store.runlog import start_run
from bench.store.siblings import begin
from bench.store.store import Store, open_store

_PLUGIN = """\
import torch

import bench


@bench.register_data("{data}", input_shape=(1, 6, 6), splits={{"test": {images}}}, classes=list("abcdefghij"))
def drawn(split):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand({images}, 1, 6, 6, generator=generator)
    return x, torch.randint(0, 10, ({images},), generator=generator)


def tiny(turn):
    def load():
        torch.manual_seed(turn)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 10))
        return bench.wrap(net, num_classes=10, input_shape=(1, 6, 6))

    return load


for turn in range({models}):
    bench.register_model(f"{data}/tiny-{{turn:03d}}", data="{data}")(tiny(turn))
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a store is: `models` times `attacks` (an even number) times `radii` cells of `images` rows, `chunk` to a file."""

    models: int = 10
    attacks: int = 50
    radii: int = 20
    images: int = 1000
    chunk: int = 100

    @property
    def cells(self) -> int:
        return self.models * self.attacks * self.radii

    @property
    def data(self) -> str:
        return f"drawn-{self.models}-{self.images}"

    @property
    def titles(self) -> list[str]:
        return [f"{self.data}/tiny-{turn:03d}" for turn in range(self.models)]


@dataclass(frozen=True)
class Made:
    """A store that was made: `words` name its suite, plug-in and results to a command."""

    suite: Path
    plugin: Path
    results: Path

    @property
    def words(self) -> list[str]:
        return [
            "--suite",
            str(self.suite),
            "--plugin",
            str(self.plugin),
            "--results",
            str(self.results),
        ]


def make(folder: Path, size: Size) -> Made:
    """Write a suite, its plug-in, and a store in which all its cells are done."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Made(folder / "thousands.toml", folder / "thousands.py", folder / "results")
    made.plugin.write_text(_PLUGIN.format(data=size.data, images=size.images, models=size.models))
    made.suite.write_text(_suite(size))
    load_plugin(made.plugin)
    plan = make_plan(load_suite(str(made.suite)))
    assert len(plan.cells) == size.cells
    store = open_store(made.results)
    log = start_run(store, manifest(plan, None))
    # A killed machine may lose this store, and nobody minds.
    with mock.patch.object(os, "fsync", return_value=None):
        for key in plan.cells:
            _write(store, plan, key)
    log.append({"event": "end"})
    return made


def _suite(size: Size) -> str:
    eps = [f"{turn + 1}/255" for turn in range(size.radii)]
    attacks = [
        {
            "name": ("pgd", "bim")[turn % 2], "norm": "linf", "eps": eps, "steps": 10 + turn // 2,
            "toolkits": ["foolbox", "torchattacks"], "batch_size": size.chunk,
        }
        for turn in range(size.attacks // 2)
    ]  # fmt: skip
    claims = [
        {
            "says": f"{left} withstands more than {right}", "left": left, "right": right,
            "attacks": ["pgd"], "norm": "linf", "eps": eps, "expect": "left > right",
        }
        for left, right in pairwise(size.titles)
    ]  # fmt: skip
    return build.suite(size.titles, attacks, claims, data=size.data, images=size.images)


def _write(store: Store, plan: Plan, key: str) -> None:
    """Write a cell as a run does."""
    cell = plan.cells[key]
    family = plan.adapters[cell.model].spec.family
    rows, images = _rows(key, cell, family, len(plan.images_of(cell))), len(plan.images_of(cell))
    maker = made_by(plan.device)
    begin(store, key, identity(cell))
    for start in range(0, images, cell.batch_size):
        stop = min(start + cell.batch_size, images)
        store.write_chunk(key, start, stop, rows.iloc[start:stop], Arrays(), maker)
    record = {**cell_facts(key, cell, family), "identity": identity(cell), "rows": images, **maker}
    store.finish(key, {**record, "started": "2026-01-01T00:00:00+00:00"})


def _rows(key: str, cell: Cell, family: str, images: int) -> pd.DataFrame:
    """Return plausible rows of a cell."""
    of_model = np.random.default_rng(int(cell.fingerprint[:8], 16))
    drawn = np.random.default_rng(int(key[:8], 16))
    label = np.random.default_rng(0).integers(0, 10, images)
    correct, wall = of_model.random(images) < 0.9, of_model.gamma(2.0, 0.02, images)
    radius, steps = cell.attack.radius or 0.0, int(cell.attack.parameter("steps"))
    lost = correct & (radius > wall * drawn.uniform(1.0, 1.1, images))
    sure = drawn.uniform(0.2, 1.0, images)
    margin = np.where(lost, -sure, sure)
    values = {
        "cell": key, "dataset": cell.images.data, "model": cell.model.title(), "family": family,
        "attack": cell.attack.name, "toolkit": cell.toolkit, "surface": cell.surface,
        "norm": cell.attack.norm, "eps": radius, "label": label,
        "clean_label": np.where(correct, label, (label + 1) % 10), "correct": correct, "success": lost,
        "adv_label": pd.array(np.where(lost, (label + 1) % 10, label), dtype="Int64"),
        "clean_confidence": of_model.uniform(0.3, 1.0, images), "adv_confidence": sure,
        "l0": 36.0, "l1": 36 * radius, "l2": 6 * radius, "linf": radius, "iterations": steps,
        "forwards": correct * (steps + 2), "backwards": correct * steps,
        "seconds": drawn.uniform(0.5, 1.0, images) * steps / 1e4, "seed": int(key[:7], 16),
        "adv_margin": margin, "clean_l2": 3.5, "clean_linf": 1.0, "changed_pixels": 1.0,
        "changed_values": 1.0,
    }  # fmt: skip
    rows = build.table(images, **values)
    tried = ["adv_label", "adv_confidence", "adv_margin", "l0", "l1", "l2", "linf", "iterations"]
    rows.loc[~correct, tried] = None
    return rows[list(COLUMNS)]

"""A small run in a store, written by the store's own code: what reports and measures are tested against.

Of each model the distance from every image to the boundary is known, and an attack breaks an image
where its change passes that distance. So the figures are known, and no attack has to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import build
import pandas as pd
import torch

from bench.errors import AttackError
from bench.measure.norms import distances
from bench.spec import AttackSpec, Cell, ImageSet, ModelRequest
from bench.store.identity import cell_key, identity
from bench.store.parts import Arrays
from bench.store.runlog import start_run
from bench.store.store import Store, open_store

SUITE = "fake"
MODELS = ("digits/cnn", "digits/wide")
IMAGES = 40
CHUNK = 16
KEPT = 16
MADE_BY = {"versions": build.VERSIONS, "device": "cpu", "host": "nowhere", "threads": 2}
#: The cell that fails: its model, attack and toolkit.
FAILED = ("digits/wide", "deepfool", "art")

_PGD = (
    ("random_start", False), ("step_size", "2/255"), ("steps", 10), ("targeted", "none"),
)  # fmt: skip
_DEEPFOOL = (("candidates", 10), ("overshoot", "0.02"), ("steps", 50))
_CW = (
    ("c", "1"), ("confidence", "0"), ("search_steps", 1), ("step_size", "0.01"), ("steps", 100),
    ("targeted", "none"),
)  # fmt: skip
_THREE = ("art", "foolbox", "torchattacks")
#: Attack, its toolkits, and its access.
ATTACKS: tuple[tuple[AttackSpec, tuple[str, ...], str], ...] = (
    (AttackSpec(name="pgd", norm="linf", eps="8/255", parameters=_PGD), _THREE, "white"),
    (AttackSpec(name="pgd", norm="linf", eps="24/255", parameters=_PGD), _THREE, "white"),
    (AttackSpec(name="deepfool", norm="l2", parameters=_DEEPFOOL), _THREE, "white"),
    (AttackSpec(name="cw", norm="l2", parameters=_CW), _THREE, "white"),
    (
        AttackSpec(name="noise", norm="linf", eps="24/255"),
        ("foolbox", "native"),
        "decision",
    ),
)
#: How far from the nearest adversarial image an attack ends, per toolkit: 1 is on the boundary.
_SLACK = {"art": 1.1, "foolbox": 1.01, "torchattacks": 1.02, "native": 1.02}
#: Which share of its change points across the boundary; noise hardly does.
_AIM = {"pgd": 1.0, "deepfool": 1.0, "cw": 1.0, "noise": 0.15}


def images(count: int = IMAGES) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images float32 (count, 1, 8, 8) within [0.3, 0.7] and labels int64 (count,)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 1, 8, 8, generator=generator) * 0.4 + 0.3
    return x, torch.randint(0, 10, (count,), generator=generator)


def boundary(model: str, count: int = IMAGES) -> torch.Tensor:
    """Return how far each image is from the model's boundary in linf, float64 (count,)."""
    generator = torch.Generator().manual_seed(MODELS.index(model) + 1)
    scale = 0.06 if model == MODELS[0] else 0.11
    return torch.rand(count, generator=generator).double() * 2 * scale


def correct(model: str, count: int = IMAGES) -> torch.Tensor:
    """Return which images the model gets right, bool (count,); the first is wrong in all."""
    every = 10 if model == MODELS[0] else 8
    return torch.arange(count) % every != 0


def _tried(model: str, spec: AttackSpec, toolkit: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images tried and whether each crosses the boundary."""
    x, _ = images()
    sign = torch.where(torch.rand(x.shape, generator=torch.Generator().manual_seed(9)) < 0.5, -1, 1)
    wall = boundary(model)
    if spec.radius is not None:
        size = torch.full((len(x),), spec.radius, dtype=torch.float64)
    else:
        size = (wall * _SLACK[toolkit]).clamp(max=0.25)
    x_adv = (x.double() + size.view(-1, 1, 1, 1) * sign).float()
    right = correct(model)
    x_adv = torch.where(right.view(-1, 1, 1, 1), x_adv, x)
    return x_adv, (size * _AIM[spec.name] > wall) & right


def make_rows(cell: Cell) -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
    """Return the rows of a whole cell, and all its pictures."""
    x, y = images()
    name, spec = cell.model.name, cell.attack
    x_adv, success = _tried(name, spec, cell.toolkit)
    right = correct(name)
    steps = int(dict(spec.parameters).get("steps", 1))
    attacked = pd.Series(right.numpy())
    found = {
        "clean_label": torch.where(right, y, (y + 3) % 10), "correct": right, "success": success,
        "borderline": success & (torch.arange(IMAGES) % 13 == 0),
        "forwards": right * (steps + 2), "backwards": right * (0 if spec.name == "noise" else steps),
        "seconds": right * (0.002 * steps + 0.001), "label": y,
    }  # fmt: skip
    tried = {
        "adv_label": torch.where(success, (y + 1) % 10, y),
        "adv_confidence": torch.where(success, 0.6, 0.8),
        **distances(x, x_adv),
    }
    rows = build.table(
        IMAGES, cell=cell_key(cell), model=cell.model.title(), attack=spec.name,
        toolkit=cell.toolkit, surface=cell.surface, norm=spec.norm, eps=spec.radius, seed=123,
        iterations=pd.Series(steps, index=range(IMAGES), dtype="Int64").where(attacked),
        **{name: value.numpy() for name, value in found.items()},
        **{name: pd.Series(value.numpy()).where(attacked) for name, value in tried.items()},
    ).astype({"adv_label": "Int64"})  # fmt: skip
    pictures = {"index": torch.arange(IMAGES), "x": x, "x_adv": x_adv}
    return rows, pictures


def cells() -> Iterator[tuple[Cell, str]]:
    """Yield every planned cell with its access, in the plan's order."""
    for model in MODELS:
        for spec, toolkits, access in ATTACKS:
            for toolkit in toolkits:
                yield (
                    Cell(
                        model=ModelRequest(name=model),
                        fingerprint="f" * 16,
                        attack=spec,
                        toolkit=toolkit,  # type: ignore[arg-type]
                        surface="predict" if access == "decision" else "network",
                        images=ImageSet(data="digits", split="test", count=IMAGES),
                        checksum="c" * 16,
                        seed=0,
                        batch_size=CHUNK,
                    ),
                    access,
                )


def planned(cell: Cell, access: str) -> dict[str, Any]:
    """Return what a run's log says of a cell."""
    return {
        "cell": cell_key(cell),
        "model": cell.model.title(),
        "family": "network",
        "data": "digits",
        "attack": cell.attack.name,
        "norm": cell.attack.norm,
        "eps": cell.attack.eps,
        "toolkit": cell.toolkit,
        "surface": cell.surface,
        "climbed": None,
        "goal": cell.attack.goal,
        "targeted": cell.attack.targeted,
        "words": dict(cell.attack.parameters),
        "kind": "minimal" if cell.attack.eps is None else "fixed",
        "access": access,
    }


def run_start(plan: list[tuple[Cell, str]], suite: str = SUITE) -> dict[str, Any]:
    """Return the first line of a run's log."""
    return {
        "suite": suite,
        "title": "A synthetic run",
        "protocol": {
            "data": ["digits"], "split": "test", "images": IMAGES, "seed": 0, "batch_size": CHUNK, **MADE_BY,
        },
        "cells": [planned(cell, access) for cell, access in plan],
        "models": [
            build.describe(name) for name in MODELS
        ],
        "left_out": ["digits/cnn · noise linf 24/255: torchattacks has no noise for linf"],
        "claims": [],
        "shard": None,
    }  # fmt: skip


def write_cell(store: Store, cell: Cell, *, rows: pd.DataFrame | None = None) -> str:
    """Write a cell in chunks, with the pictures of its first images, and return its key."""
    key = cell_key(cell)
    made, pictures = make_rows(cell)
    rows = made if rows is None else rows
    for start in range(0, IMAGES, CHUNK):
        stop = min(start + CHUNK, IMAGES)
        kept = {name: value[start : min(stop, KEPT)] for name, value in pictures.items()}
        arrays = Arrays(kept if start < KEPT else None)
        store.write_chunk(key, start, stop, rows.iloc[start:stop], arrays)
    store.finish(
        key, {"identity": identity(cell), "title": cell.title(), "rows": IMAGES, **MADE_BY}
    )
    return key


def write_run(root: str | Path, suite: str = SUITE) -> str:
    """Write a run with two models and one failed cell into a results folder; return the suite."""
    store = open_store(root)
    plan = list(cells())
    log = start_run(store, run_start(plan, suite))
    for cell, _ in plan:
        if (cell.model.name, cell.attack.name, cell.toolkit) == FAILED:
            store.fail(
                cell_key(cell), AttackError("art stopped\nout of memory: try --batch-size 8")
            )
            log.append({"event": "failed", "cell": cell_key(cell)})
        else:
            log.append({"event": "done", "cell": write_cell(store, cell)})
    log.append({"event": "end"})
    return suite

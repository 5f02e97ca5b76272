"""Measures what `cost_on_clusters.py` computes with: operations, passes, the store, and a simulated Ray cluster."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cost_on_clusters import IMAGES, NETWORKS, PARTS

#: Of the simulated cluster: tasks, machines' cores, and seconds that each task sleeps.
TASKS, SLOTS, SLEEP = 20_000, 16, 0.3


def flops(depth: int, width: int) -> tuple[float, float]:
    """Return the operations of a forward pass of a wide residual network on a 32x32 image, and of a gradient of it."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    blocks, layers, channels = (depth - 4) // 6, [nn.Conv2d(3, 16, 3, padding=1)], 16
    for group in range(3):
        for block in range(blocks):
            stride, out = 2 if group and not block else 1, 16 * width * 2**group
            layers.append(_Block(channels, out, stride))
            channels = out
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    net = net.to("meta").requires_grad_(requires_grad=False)
    x = torch.empty(1, 3, 32, 32, device="meta", requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        logits = net(x)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


def _Block(channels: int, out: int, stride: int) -> Any:  # noqa: N802 - made when torch is needed
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(channels, out, 3, stride, padding=1)
            self.second = nn.Conv2d(out, out, 3, padding=1)
            self.short = nn.Conv2d(channels, out, 1, stride) if channels != out else nn.Identity()

        def forward(self, x: Any) -> Any:
            return self.second(self.first(x)) + self.short(x)

    return Block()


def measured_passes() -> dict[str, Any]:
    """Return forward and backward passes of each attack for images that withstand it and images that do not."""
    import bench

    x, y = bench.load_data("digits", split="test", images=40)
    model, found = bench.load_model("digits/mlp"), {}
    for attack in ("autoattack", *PARTS):
        more = (
            {}
            if attack == "autoattack"
            else {"queries": 5000}
            if attack == "square"
            else {"steps": 100}
        )
        rows = bench.attack(
            model, x, y, attack, norm="linf", eps="0.05", toolkit="torchattacks", **more
        ).rows
        tried = rows[rows["correct"]]
        found[attack] = {
            name: {column: float(of[column].mean()) for column in ("forwards", "backwards")}
            for name, of in (
                ("withstood", tried[~tried["success"]]),
                ("broken", tried[tried["success"]]),
            )
        }
    return found


def measured_store() -> dict[str, float]:
    """Return the bytes of a cell with pictures of 16 images, and the seconds that a chunk takes to be saved."""
    import torch

    from bench.store.parts import Arrays
    from bench.store.store import open_store

    with tempfile.TemporaryDirectory() as folder:
        store, (key, rows) = open_store(folder), _rows(100)
        pictures = {
            "index": torch.arange(16),
            "x": torch.rand(16, 3, 32, 32),
            "x_adv": torch.rand(16, 3, 32, 32),
        }
        began = time.perf_counter()
        for start in range(0, IMAGES, 100):
            store.write_chunk(
                key,
                start,
                start + 100,
                rows,
                Arrays(None if start else pictures),
                {"device": "cpu"},
            )
        store.finish(key, {"rows": IMAGES})
        taken = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {"chunk_seconds": taken / (IMAGES / 100), "cell_bytes": size}


def _rows(count: int, key: str = "0" * 20) -> tuple[str, Any]:
    """Return a key, and rows of so many images as an attack writes them."""
    import numpy as np
    import pandas as pd

    from bench.spec import COLUMNS

    draw = np.random.default_rng(0)
    plain: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "cell": key, "kind": "attack", "dataset": "cifar10", "split": "test", "index": range(count), "model": "a",
        "family": "network", "attack": "autoattack", "toolkit": "torchattacks", "surface": "network", "norm": "linf",
        "eps": 8 / 255, "goal": "misclassification", "targeted": "none", "label": draw.integers(10, size=count), "clean_label": 1, "adv_label": 2,
        "clean_confidence": draw.random(count), "adv_confidence": draw.random(count), "correct": True, "success": False,
        "borderline": False, "abstained": False, "l0": 1024.0, "l1": draw.random(count), "l2": draw.random(count), "linf": draw.random(count),
        "iterations": 100, "forwards": 7000, "backwards": 1900, "seconds": draw.random(count), "seed": 0,
    }  # fmt: skip
    return key, pd.DataFrame(plain, index=range(count))[list(COLUMNS)]


def sleeping(sleep: float) -> Any:
    """Return a function in the place of `bench.runner.ray_worker.compute` that sleeps, and then saves a small cell."""

    def compute(errand: Any, unit: Any, begun: Any) -> Iterator[dict[str, Any]]:
        from bench.store.parts import Arrays

        key = unit.keys[0]
        yield {"event": "start", "cell": key, "title": key}
        began = time.perf_counter()
        time.sleep(sleep)
        rows = errand.rows.assign(cell=key)
        errand.store.write_chunk(key, 0, len(rows), rows, Arrays(None), {"device": "cpu"})
        errand.store.finish(key, {"rows": len(rows)})
        yield {"event": "chunk", "cell": key, "images": len(rows)}
        yield {"event": "done", "cell": key, "seconds": time.perf_counter() - began}

    return compute


def simulated(tasks: int, slots: int, sleep: float) -> dict[str, Any]:
    """Return how long tasks that sleep take on a cluster of so many places, with what drives real ones.

    `own` is the mean of what each took by itself: its sleep, and what saves its cell.
    """
    import ray

    from bench.runner import on_ray
    from bench.runner.ledger import Ledger
    from bench.runner.scope import Scope
    from bench.runner.taken_over import Siblings
    from bench.runner.units import Unit
    from bench.store.store import open_store

    keys = [f"{turn:020x}"[::-1] for turn in range(tasks)]
    plain, on_ray.compute = on_ray.compute, sleeping(sleep)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "results")
        setting = SimpleNamespace(setting=SimpleNamespace(device="cpu"))
        errand: Any = SimpleNamespace(order=setting, store=store, rows=_rows(10)[1])
        try:
            on_ray.join(on_ray.ALONE, folder, num_cpus=slots)
            for many in (slots, tasks):  # at first each place starts its process
                units = [Unit(("a",), (key,)) for key in keys[:many]]
                siblings = Siblings(SimpleNamespace(cells={}), store, {})  # type: ignore[arg-type]
                run = on_ray.Tasks(
                    errand, Ledger(store, units), siblings, Scope(overwrite="always")
                )
                began = time.perf_counter()
                own = [event["seconds"] for event in run.events() if event["event"] == "done"]
                taken = time.perf_counter() - began
        finally:
            on_ray.compute = plain
            ray.shutdown()
        done = sum(store.is_done(key) for key in keys)
    return {
        "tasks": len(own), "cells": done, "slots": slots, "sleep": sleep, "own": sum(own) / len(own),
        "measured": taken,
    }  # fmt: skip


def measure(tasks: int = TASKS, slots: int = SLOTS, sleep: float = SLEEP) -> dict[str, Any]:
    """Return all inputs, measured on this machine."""
    idle = simulated(max(slots, tasks // 10), slots, 0.0)
    return {
        "flops": {name: flops(*shape) for name, (shape, _) in NETWORKS.items()},
        "passes": measured_passes(),
        "store": measured_store(),
        "ray": {"task_seconds": idle["measured"] / idle["tasks"]},
        "simulated": simulated(tasks, slots, sleep),
        "machine": f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}, {platform.system()}",
    }

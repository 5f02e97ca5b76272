"""What a run says of itself in its log: its protocol, its cells and its models."""

from __future__ import annotations

import base64
import platform
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from typing import Any

import torch

from bench.adapters.neighbours import NeighboursAdapter
from bench.adapters.random import RandomAdapter
from bench.adapters.smoothed import SmoothedAdapter
from bench.attacks.catalogue import access, is_minimal
from bench.runner.plan import Plan
from bench.spec import Adapter, Cell, ModelRequest
from bench.train.cards import moments_file, read_card, weights_folder
from bench.train.local_learning.names import local_options
from bench.train.local_learning.snapshots import read_pictures
from bench.train.metric_learning.snapshots import read_moments
from bench.trust.behaviour import Behaviour
from bench.zoo import MODELS

_VERSIONED = {
    "crossfire": "crossfire-bench",
    "art": "adversarial-robustness-toolbox",
    "foolbox": "foolbox",
    "torchattacks": "torchattacks",
    "torch": "torch",
    "numpy": "numpy",
}


@cache
def versions() -> dict[str, str]:
    """Return the installed versions that a result may depend on."""
    found = {"python": platform.python_version()}
    for name, distribution in _VERSIONED.items():
        try:
            found[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def made_by(device: str) -> dict[str, Any]:
    """Return what rows are made by: `versions`, `device`, `host` and `threads` (of torch)."""
    return {
        "versions": versions(),
        "device": device,
        "host": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def manifest(plan: Plan, shard: str | None) -> dict[str, Any]:
    """Return what a run's log begins with; `bench.store.results.Results` says what each part is.

    Args:
        plan: what the run is asked for.
        shard: `I/N` of a run that computes one share of it.
    """
    suite = plan.suite
    return {
        "suite": suite.name,
        "content": plan.content,
        "asked": {**plan.asked, "answers": _answers(plan)},
        "title": suite.title,
        "protocol": {
            "data": [one.data for one in suite.images],
            "split": suite.images[0].split,
            "images": _images(plan),
            "seed": suite.seed,
            "batch_size": plan.batch_size,
            **made_by(plan.device),
        },
        "cells": [
            cell_facts(key, cell, plan.adapters[cell.model].spec.family)
            for key, cell in plan.cells.items()
        ],
        "models": [
            {
                "model": request.title(),
                "family": plan.adapters[request].spec.family,
                "data": plan.adapters[request].spec.data,
                "clean_accuracy": _card(request.name).get("clean_accuracy"),
                "options": local_options(request.name),
                "sigma": _sigma(plan.adapters[request]),
                "f_score": _card(request.name).get("f_score"),
                "moments": _moments(request.name),
                "filters": _filters(request.name),
                "surrogate": _surrogate(plan.adapters[request]),
                **_behaviour(plan, request),
            }
            for request in suite.models
        ],
        "left_out": list(plan.left_out),
        "claims": [asdict(claim) for claim in suite.claims],
        "shard": shard,
    }


def _kind(cell: Cell) -> str:
    """Return what an attack does with a radius, or that the cell attacks nothing."""
    if cell.kind == "certify":
        return "certify"
    return "minimal" if is_minimal(cell.attack.name) else "fixed"


def cell_facts(key: str, cell: Cell, family: str) -> dict[str, Any]:
    """Return what tells a cell from others in words, as logs and records of cells hold it.

    Args:
        key: of the cell.
        cell: as it was planned.
        family: of its model.
    """
    spec = cell.attack
    return {
        "cell": key,
        "model": cell.model.title(),
        "family": family,
        "data": cell.images.data,
        "attack": spec.name,
        "norm": spec.norm,
        "eps": spec.eps,
        "toolkit": cell.toolkit,
        "surface": cell.surface,
        "climbed": None if cell.maker() == cell else cell.maker().model.title(),
        "goal": spec.goal,
        "targeted": spec.targeted,
        "words": dict(spec.parameters),
        "kind": _kind(cell),
        "access": access(spec.name),
    }


def _answers(plan: Plan) -> int:
    """Return how many images all cells ask about together: how much a run asks for."""
    return sum(len(plan.images_of(cell)) for cell in plan.cells.values())


def _images(plan: Plan) -> int:
    """Return how many images the suite asks for, of its largest set."""
    counts = {wanted: len(images) for wanted, images in plan.images.items()}
    own = [counts[one] for one in plan.suite.images if one in counts]
    return max(own or counts.values())  # of a suite whose attacks all say how many, the most


def _card(name: str) -> dict[str, Any]:
    folder = weights_folder(name)
    return (read_card(folder, name) if folder else None) or {}


def _moments(name: str) -> dict[str, Any] | None:
    """Return how a model's embedding came to be, as its report draws it; None where it was not watched."""
    payload = _watched(name, "neighbours")
    if payload is None:
        return None
    points, labels = read_moments(payload)
    return {
        "labels": labels.tolist(),
        "epochs": {str(epoch): found.tolist() for epoch, found in points.items()},
    }


def _filters(name: str) -> dict[str, Any] | None:
    """Return pictures of a model's filters over its training, as base64 of uint8 (N, C, H, W)."""
    payload = _watched(name, "local-learning")
    if payload is None:
        return None
    pictures = read_pictures(payload)
    return {
        "shape": list(next(iter(pictures.values())).shape),
        "epochs": {
            str(epoch): base64.b64encode(found.numpy().tobytes()).decode()
            for epoch, found in pictures.items()
        },
    }


def _watched(name: str, family: str) -> bytes | None:
    """Return what was watched during the training of a model of a family; None where nothing was."""
    folder = weights_folder(name)
    path = moments_file(folder, name) if folder else None
    if path is None or not path.is_file() or MODELS[name].facts["family"] != family:
        return None
    return path.read_bytes()


def _sigma(adapter: Adapter) -> float | None:
    """Return the standard deviation of a smoothed model's noise; None for others."""
    return adapter.noise.sigma if isinstance(adapter, SmoothedAdapter) else None


def _behaviour(plan: Plan, request: ModelRequest) -> dict[str, Any]:
    """Return whether a model is random, by how many draws it is judged, and what else is to be known."""
    adapter, found = plan.adapters[request], plan.behaviours.get(request, Behaviour())
    return {
        "random": found.random,
        "draws": adapter.draws if isinstance(adapter, RandomAdapter) else None,
        "notes": found.notes(),
    }


def _surrogate(adapter: Adapter) -> Mapping[str, Any] | None:
    return adapter.agreement if isinstance(adapter, NeighboursAdapter) else None

"""Running a plan: what is done is kept, what is missing is computed and saved chunk by chunk."""

from __future__ import annotations

import base64
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Any, Literal

import torch

from bench.adapters.neighbours import NeighboursAdapter
from bench.adapters.random import RandomAdapter
from bench.adapters.smoothed import SmoothedAdapter
from bench.attacks.catalogue import access, is_minimal
from bench.errors import PrerequisiteError, SpecError, StoreError
from bench.runner.answers import check_answers, earlier_versions
from bench.runner.cache import CleanPredictions, Climber, RunCache
from bench.runner.cell import PICTURES, check_images, compute_chunk
from bench.runner.fits import fitted
from bench.runner.plan import Plan
from bench.spec import Adapter, Cell, ModelRequest, whole
from bench.store.identity import cell_key, identity
from bench.store.runlog import RunLog, start_run
from bench.store.store import Store
from bench.train.cards import moments_file, read_card, weights_folder
from bench.train.local_learning.names import local_options
from bench.train.local_learning.snapshots import read_pictures
from bench.train.metric_learning.snapshots import read_moments
from bench.trust.behaviour import Behaviour
from bench.zoo import MODELS

Overwrite = Literal["never", "missing", "failed", "always"]
Event = dict[str, Any]

_VERSIONED = {
    "crossfire": "crossfire-bench",
    "art": "adversarial-robustness-toolbox",
    "foolbox": "foolbox",
    "torchattacks": "torchattacks",
    "torch": "torch",
    "numpy": "numpy",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: what it is called, and the keys of cells computed, found done, and failed."""

    run: str
    computed: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]


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


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Return (I, N) of `I/N`.

    Raises:
        SpecError: not of that form, or I outside 1 to N.
    """
    if text is None:
        return None
    part, slash, of = text.partition("/")
    share, shares = whole(part), whole(of)
    if not (slash and share and shares and share <= shares):
        raise SpecError(f"--shard {text}: write I/N with 1 <= I <= N, such as 1/4")
    return share, shares


def todo(
    plan: Plan,
    store: Store,
    overwrite: Overwrite,
    shard: tuple[int, int] | None,
    keep_all: bool = False,
) -> list[str]:
    """Return the keys of the cells a run has to compute, in the plan's order."""
    keys = [key for key, cell in plan.cells.items() if _in_shard(cell, shard)]
    if overwrite == "always":
        return keys
    if overwrite == "never":
        return []
    if overwrite == "failed":
        return [
            key for key in keys if not _held(plan, store, key, keep_all) and store.last_error(key)
        ]
    return [key for key in keys if not _held(plan, store, key, keep_all)]


def _in_shard(cell: Cell, shard: tuple[int, int] | None) -> bool:
    # Cells that judge the same images stay together, so that these are made once.
    return shard is None or int(cell_key(cell.maker()), 16) % shard[1] == shard[0] - 1


def _held(plan: Plan, store: Store, key: str, keep_all: bool) -> bool:
    if not store.is_done(key):
        return False
    # Asked to keep every image, a cell that kept fewer is not what was asked for.
    record = store.record(key) or {}
    return not keep_all or int(record["pictures"]) >= _pictures(plan, plan.cells[key], keep_all)


def _pictures(plan: Plan, cell: Cell, keep_all: bool) -> int:
    """Return how many images tried are kept of a cell: none that lie in another's already."""
    if cell.maker() != cell or cell.kind == "certify":
        return 0
    return len(plan.images_of(cell)) if keep_all else PICTURES


def execute(
    plan: Plan,
    store: Store,
    *,
    overwrite: Overwrite = "missing",
    shard: str | None = None,
    keep_all: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
    wanted: Collection[str] | None = None,
) -> Outcome:
    """Compute what is missing of a plan and log what was asked for.

    Args:
        plan: what to run.
        store: where rows go.
        overwrite: `missing` computes all that is not done, failed cells included; `failed` those
            alone that failed; `always` everything again; `never` nothing.
        shard: `I/N` to compute only the I-th of N shares of the cells.
        keep_all: keep every image tried, not the first 16 of a cell.
        on_event: told of each cell as it starts, advances, ends or fails.
        wanted: what `todo` returned of the same, where it is at hand: it reads every finished cell.

    Raises:
        StoreError: rows cannot be saved, nothing saved before is lost; or a model answers otherwise
            than when its rows were made.
        ValueError: the plan is a sketch.
    """
    if plan.sketch:
        raise ValueError("a plan made without training is only to be looked at")
    refused = check_answers(plan, store)
    for line in earlier_versions(plan, store):
        on_event({"event": "note", "note": line})
    if wanted is None:
        wanted = todo(plan, store, overwrite, parse_shard(shard), keep_all)
    log = start_run(store, _asked(plan, shard))
    kept = tuple(key for key in plan.cells if key not in wanted and store.is_done(key))
    for key in kept:
        _tell(log, on_event, {"event": "kept", "cell": key})
    computed, failed = [], []
    known = RunCache({one: CleanPredictions(model) for one, model in plan.adapters.items()})
    for key in wanted:
        cell = plan.cells[key]
        on_event({"event": "start", "cell": key, "title": cell.title()})
        began = time.perf_counter()
        try:
            if cell.model in refused:
                raise refused[cell.model]
            for images in _compute(plan, store, key, known, overwrite, keep_all):
                on_event({"event": "chunk", "cell": key, "images": images})
        except (StoreError, PrerequisiteError):
            raise
        except Exception as error:
            store.fail(key, error)
            failed.append(key)
            reason = f"{type(error).__name__}: {error}"
            _tell(log, on_event, {"event": "failed", "cell": key, "error": reason})
            continue
        computed.append(key)
        seconds = round(time.perf_counter() - began, 3)
        _tell(log, on_event, {"event": "done", "cell": key, "seconds": seconds})
    log.append({"event": "end"})
    return Outcome(log.run, tuple(computed), kept, tuple(failed))


def _tell(log: RunLog, on_event: Callable[[Event], None], event: Event) -> None:
    log.append(event)
    on_event(event)


def _compute(
    plan: Plan, store: Store, key: str, known: RunCache, overwrite: Overwrite, keep_all: bool
) -> Iterator[int]:
    """Compute the chunks of a cell that are not saved yet, yielding how many images each has."""
    cell = plan.cells[key]
    adapter, images = plan.adapters[cell.model], plan.images_of(cell)
    check_images(adapter, images.first(1).images, images.labels[:1])
    anew = overwrite == "always" or keep_all
    done = set() if anew else store.done_chunks(key)
    keep = _pictures(plan, cell, keep_all)
    climber = None
    if cell.climbed is not None:
        maker = cell.climbed.model
        climber = Climber(plan.adapters[maker], known.clean[maker], known.shared)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    perturbation, fit = None, {}
    if cell.fit is not None:
        perturbation, said = fitted(
            cell, plan.sources[key], store, key, known.fits, anew=overwrite == "always"
        )
        fit = {"fit": said}
    for start in range(0, len(images), cell.batch_size):
        stop = min(start + cell.batch_size, len(images))
        if start not in done:
            chunk = compute_chunk(
                cell, adapter, known.clean[cell.model], images, start, perturbation, climber
            )
            pictures = None
            if start < keep:
                kept = slice(0, min(stop, keep) - start)
                pictures = {
                    "index": torch.arange(start, stop)[kept],
                    "x": chunk.x[kept].cpu().float(),
                    "x_adv": chunk.x_adv[kept].cpu().float(),
                }
            store.write_chunk(key, start, stop, chunk.rows, pictures, made_by(plan.device))
        yield stop - start
    record = {
        **_described(key, cell, adapter.spec.family),
        **fit,
        "identity": identity(cell),
        "rows": len(images),
        "started": started,
        **made_by(plan.device),
    }
    store.finish(key, record)


def _kind(cell: Cell) -> str:
    """Return what an attack does with a radius, or that the cell attacks nothing."""
    if cell.kind == "certify":
        return "certify"
    return "minimal" if is_minimal(cell.attack.name) else "fixed"


def _described(key: str, cell: Cell, family: str) -> dict[str, Any]:
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


def _asked(plan: Plan, shard: str | None) -> dict[str, Any]:
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
            _described(key, cell, plan.adapters[cell.model].spec.family)
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

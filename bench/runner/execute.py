"""Running a plan: what is done is kept, what is missing is computed and saved chunk by chunk."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Literal

import torch

from bench.attacks.catalogue import access, is_minimal
from bench.attacks.drive import Fitted
from bench.errors import PrerequisiteError, SpecError, StoreError
from bench.runner.cell import PICTURES, CleanPredictions, check_images, compute_chunk
from bench.runner.fits import fitted
from bench.runner.plan import Plan
from bench.spec import Cell
from bench.store.identity import identity
from bench.store.runlog import RunLog, start_run
from bench.store.store import Store
from bench.train.cards import read_card, weights_folder

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
    """How a run ended: keys of cells computed, found done, and failed."""

    computed: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]


def versions() -> dict[str, str]:
    """Return the installed versions that a result may depend on."""
    found = {"python": platform.python_version()}
    for name, distribution in _VERSIONED.items():
        try:
            found[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Return (I, N) of `I/N`.

    Raises:
        SpecError: not of that form, or I outside 1 to N.
    """
    if text is None:
        return None
    part, slash, of = text.partition("/")
    if not (slash and part.isdigit() and of.isdigit() and 1 <= int(part) <= int(of)):
        raise SpecError(f"--shard {text}: write I/N with 1 <= I <= N, such as 1/4")
    return int(part), int(of)


def todo(
    plan: Plan,
    store: Store,
    overwrite: Overwrite,
    shard: tuple[int, int] | None,
    keep_all: bool = False,
) -> list[str]:
    """Return the keys of the cells a run has to compute, in the plan's order."""
    keys = [key for key in plan.cells if shard is None or int(key, 16) % shard[1] == shard[0] - 1]
    if overwrite == "always":
        return keys
    if overwrite == "never":
        return []
    if overwrite == "failed":
        return [
            key for key in keys if not _held(plan, store, key, keep_all) and store.last_error(key)
        ]
    return [key for key in keys if not _held(plan, store, key, keep_all)]


def _held(plan: Plan, store: Store, key: str, keep_all: bool) -> bool:
    if not store.is_done(key):
        return False
    # Asked to keep every image, a cell that kept fewer is not what was asked for.
    record = store.record(key) or {}
    return not keep_all or int(record["pictures"]) >= len(plan.images)


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
        StoreError: rows cannot be saved; nothing saved before is lost.
    """
    if wanted is None:
        wanted = todo(plan, store, overwrite, parse_shard(shard), keep_all)
    log = start_run(store, _asked(plan, shard))
    kept = tuple(key for key in plan.cells if key not in wanted and store.is_done(key))
    for key in kept:
        _tell(log, on_event, {"event": "kept", "cell": key})
    computed, failed = [], []
    clean: dict[Any, CleanPredictions] = {}
    fits: dict[str, Fitted] = {}
    for key in wanted:
        cell = plan.cells[key]
        on_event({"event": "start", "cell": key, "title": cell.title()})
        if cell.model not in clean:
            clean = {cell.model: CleanPredictions(plan.adapters[cell.model])}
        began = time.perf_counter()
        try:
            for images in _compute(plan, store, key, clean[cell.model], fits, overwrite, keep_all):
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
    return Outcome(tuple(computed), kept, tuple(failed))


def _tell(log: RunLog, on_event: Callable[[Event], None], event: Event) -> None:
    log.append(event)
    on_event(event)


def _compute(
    plan: Plan,
    store: Store,
    key: str,
    clean: CleanPredictions,
    fits: dict[str, Fitted],
    overwrite: Overwrite,
    keep_all: bool,
) -> Iterator[int]:
    """Compute the chunks of a cell that are not saved yet, yielding how many images each has."""
    cell, adapter, images = plan.cells[key], plan.adapters[plan.cells[key].model], plan.images
    check_images(adapter, images.first(1).images, images.labels[:1])
    anew = overwrite == "always" or keep_all
    done = set() if anew else store.done_chunks(key)
    keep = len(images) if keep_all else PICTURES
    started = datetime.now(UTC).isoformat(timespec="seconds")
    perturbation, fit = None, {}
    if cell.fit is not None:
        perturbation, said = fitted(
            cell, plan.sources[key], store, key, fits, anew=overwrite == "always"
        )
        fit = {"fit": said}
    for start in range(0, len(images), cell.batch_size):
        stop = min(start + cell.batch_size, len(images))
        if start not in done:
            chunk = compute_chunk(cell, adapter, clean, images, start, perturbation)
            pictures = None
            if start < keep:
                kept = slice(0, min(stop, keep) - start)
                pictures = {
                    "index": torch.arange(start, stop)[kept],
                    "x": chunk.x[kept].cpu().float(),
                    "x_adv": chunk.x_adv[kept].cpu().float(),
                }
            store.write_chunk(key, start, stop, chunk.rows, pictures)
        yield stop - start
    record = {
        **_described(key, cell, adapter.spec.family),
        **fit,
        "identity": identity(cell),
        "rows": len(images),
        "started": started,
        "versions": versions(),
        "device": plan.device,
        "host": f"{platform.system()} {platform.machine()}",
    }
    store.finish(key, record)


def _described(key: str, cell: Cell, family: str) -> dict[str, Any]:
    spec = cell.attack
    return {
        "cell": key,
        "model": cell.model.title(),
        "family": family,
        "attack": spec.name,
        "norm": spec.norm,
        "eps": spec.eps,
        "toolkit": cell.toolkit,
        "surface": cell.surface,
        "goal": spec.goal,
        "targeted": spec.targeted,
        "words": dict(spec.words),
        "kind": "minimal" if is_minimal(spec.name) else "fixed",
        "access": access(spec.name),
    }


def _asked(plan: Plan, shard: str | None) -> dict[str, Any]:
    suite = plan.suite
    return {
        "suite": suite.name,
        "title": suite.title,
        "protocol": {
            "data": suite.images.data,
            "split": suite.images.split,
            "images": len(plan.images),
            "seed": suite.seed,
            "batch_size": plan.batch_size,
            "device": plan.device,
            "host": f"{platform.system()} {platform.machine()}",
            "versions": versions(),
        },
        "cells": [
            _described(key, cell, plan.adapters[cell.model].spec.family)
            for key, cell in plan.cells.items()
        ],
        "models": [
            {
                "model": request.title(),
                "family": adapter.spec.family,
                "clean_accuracy": _card_accuracy(request.name),
            }
            for request, adapter in plan.adapters.items()
        ],
        "left_out": list(plan.left_out),
        "claims": [asdict(claim) for claim in suite.claims],
        "shard": shard,
    }


def _card_accuracy(name: str) -> float | None:
    folder = weights_folder(name)
    card = read_card(folder, name) if folder else None
    return None if card is None else card["clean_accuracy"]

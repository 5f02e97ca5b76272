"""Computing cells one after the other in this process: missing chunks are computed and saved."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from bench.errors import PrerequisiteError, StoreError
from bench.registry import users_code
from bench.runner.cache import RunCache
from bench.runner.cell import PICTURES, check_images, compute_chunk, part_of, task_of
from bench.runner.fits import fitted
from bench.runner.kinds import KINDS
from bench.runner.manifest import cell_facts, made_by
from bench.runner.plan import Plan
from bench.runner.scope import Scope
from bench.runner.substitutes import substitute_of
from bench.runner.taken_over import Siblings, siblings_in, spans, take_over
from bench.runner.task import Chunk, Task
from bench.spec import Cell
from bench.store.identity import cell_key, identity
from bench.store.parts import Arrays
from bench.store.siblings import begin
from bench.store.store import Store

Event = dict[str, Any]


def pictures_of(plan: Plan, cell: Cell, keep_all: bool) -> int:
    """Return how many images tried a cell keeps: none if another cell keeps the same images."""
    elsewhere = cell.source() != cell and cell_key(cell.source()) in plan.cells
    if elsewhere or not KINDS[cell.kind].pictures:
        return 0
    return len(plan.images_of(cell)) if keep_all else PICTURES


def one_by_one(
    plan: Plan, store: Store, scope: Scope, wanted: Sequence[str], *, siblings: bool = True
) -> Generator[Event]:
    """Compute cells in order and yield what happens: start, taken over, chunk, done, failed.

    Args:
        plan: the plan that they are of.
        store: where rows go.
        scope: how many images are kept, and whether chunks that are there are computed again.
        wanted: the keys of the cells.
        siblings: whether they take over rows of their siblings, for which all of the store is looked through.

    Raises:
        StoreError: rows cannot be saved.
        PrerequisiteError: something that a cell needs is missing.
    """
    run_cache = RunCache(plan.adapters)
    givers = siblings_in(plan, store, wanted if siblings and not scope.anew else ())
    for key in wanted:
        yield {"event": "start", "cell": key, "title": plan.cells[key].title()}
        began = time.perf_counter()
        try:
            yield from _compute(givers, key, run_cache, scope)
        except (StoreError, PrerequisiteError):
            raise
        except Exception as error:
            yield failed(store, key, error)
            continue
        seconds = round(time.perf_counter() - began, 3)
        yield {"event": "done", "cell": key, "seconds": seconds}


def failed(store: Store, key: str, error: Exception) -> Event:
    """Record why a cell failed, and return the event that says so."""
    store.fail(key, error)
    return {"event": "failed", "cell": key, "error": f"{type(error).__name__}: {error}"}


def taken_over(siblings: Siblings, key: str, scope: Scope) -> Iterator[Event]:
    """Let a cell take over the chunks of its siblings that it lacks, and yield an event for each of them.

    Raises:
        StoreError: the disk is full.
    """
    if not siblings.found or not siblings.of(key):
        return
    plan, store = siblings.plan, siblings.store
    begin(store, key, identity(plan.cells[key]))
    keep = pictures_of(plan, plan.cells[key], scope.keep_all)
    for giver, count, _ in take_over(siblings, key, store.done_chunks(key), keep):
        yield {"event": "taken over", "cell": key, "from": giver, "images": count}


def _compute(siblings: Siblings, key: str, run_cache: RunCache, scope: Scope) -> Iterator[Event]:
    """Compute the chunks of a cell that are not saved yet, yielding an event for each and what was taken over."""
    plan, store = siblings.plan, siblings.store
    cell = plan.cells[key]
    adapter, images = plan.adapters[cell.model], plan.images_of(cell)
    check_images(adapter, images.first(1).images, images.labels[:1])
    keep = pictures_of(plan, cell, scope.keep_all)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    begin(store, key, identity(cell))
    done: set[int] = set()
    if not scope.anew:
        yield from taken_over(siblings, key, scope)
        done = store.done_chunks(key)
    task, facts = _task(siblings, key, run_cache, anew=scope.overwrite == "always")
    for start, stop in sorted(spans(len(images), cell.batch_size)):
        if start not in done:
            with users_code():
                chunk = compute_chunk(task, part_of(cell, images, adapter, start))
            arrays = _kept(chunk, start, min(stop, keep))
            store.write_chunk(key, start, stop, chunk.rows, arrays, made_by(plan.device))
        yield {"event": "chunk", "cell": key, "images": stop - start}
    record = {
        **cell_facts(key, cell, adapter.spec.family),
        **facts,
        "identity": identity(cell),
        "rows": len(images),
        "started": started,
        **made_by(plan.device),
    }
    store.finish(key, record)


def _task(
    siblings: Siblings, key: str, run_cache: RunCache, *, anew: bool
) -> tuple[Task, dict[str, Any]]:
    """Return the task of a cell, and what is recorded of its substitute and of its perturbation."""
    plan, cell = siblings.plan, siblings.plan.cells[key]
    substitute, perturbation, facts = None, None, {}
    if cell.substitute is not None:
        adapter = plan.adapters[cell.model]
        with users_code():
            trained = substitute_of(cell, adapter, plan.substitutes[key], run_cache.substitutes)
        substitute, facts["substitute"] = trained.net, trained.facts()
    if cell.fit is not None:
        source = dataclasses.replace(plan.sources[key], substitute=substitute)
        perturbation, facts["fit"] = fitted(
            cell, source, siblings.store, key, run_cache.fits, anew=anew
        )
    handed_in = None if cell.handed_in is None else plan.handed_in[cell.handed_in]
    return task_of(cell, run_cache, perturbation, substitute, handed_in), facts


def _kept(chunk: Chunk, start: int, stop: int) -> Arrays:
    """Return what is kept beside the rows of a chunk: its trace, and the pictures of the images up to `stop`."""
    if stop <= start:
        return Arrays(None, chunk.trace)
    few = slice(0, stop - start)
    pictures = {
        "index": torch.arange(start, stop),
        "x": chunk.x[few].cpu().float(),
        "x_adv": chunk.x_adv[few].cpu().float(),
    }
    return Arrays(pictures, chunk.trace)

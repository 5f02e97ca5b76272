"""Running a plan: finished cells are kept, missing ones are computed and saved chunk by chunk."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import torch

from bench.errors import PrerequisiteError, SpecError, StoreError
from bench.registry import users_code
from bench.runner.answers import check_answers, earlier_versions
from bench.runner.cache import RunCache
from bench.runner.cell import PICTURES, check_images, compute_chunk, part_of, task_of
from bench.runner.fits import fitted
from bench.runner.kinds import KINDS
from bench.runner.manifest import cell_facts, made_by, manifest
from bench.runner.plan import Plan
from bench.runner.substitutes import substitute_of
from bench.runner.taken_over import Siblings, siblings_in, spans, take_over
from bench.runner.task import Chunk, Task
from bench.spec import Cell, whole
from bench.store.added import Added
from bench.store.identity import cell_key, identity
from bench.store.parts import Arrays
from bench.store.runlog import RunLog, start_run
from bench.store.siblings import begin
from bench.store.store import Store

Overwrite = Literal["never", "missing", "failed", "always"]
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its name, and the keys of the cells computed, kept from earlier, and failed."""

    run: str
    computed: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which cells of a plan a run computes, and how many of the images tried it keeps.

    Attributes:
        overwrite: `missing` computes all unfinished cells, including failed ones; `failed` only failed
            ones; `always` everything again; `never` nothing.
        shard: `I/N` to compute only the I-th of N shares of the cells.
        keep_all: keep all images tried instead of the first 16 of a cell.
    """

    overwrite: Overwrite = "missing"
    shard: str | None = None
    keep_all: bool = False

    @property
    def anew(self) -> bool:
        """Whether chunks that the store has are computed again."""
        return self.overwrite == "always" or self.keep_all


ALL_MISSING = Scope()


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


def todo(plan: Plan, store: Store, scope: Scope) -> list[str]:
    """Return the keys of the cells a run has to compute, in the plan's order.

    Raises:
        SpecError: the shard is not I/N.
    """
    shard = parse_shard(scope.shard)
    keys = [key for key, cell in plan.cells.items() if _in_shard(cell, shard)]
    if scope.overwrite == "always":
        return keys
    if scope.overwrite == "never":
        return []
    keys = [key for key in keys if not _held(plan, store, key, scope.keep_all)]
    if scope.overwrite == "failed":
        return [key for key in keys if store.last_error(key)]
    return keys


def _in_shard(cell: Cell, shard: tuple[int, int] | None) -> bool:
    # Cells that judge the same images stay in one shard, so that the images are crafted once.
    return shard is None or int(cell_key(cell.source()), 16) % shard[1] == shard[0] - 1


def _held(plan: Plan, store: Store, key: str, keep_all: bool) -> bool:
    if not store.is_done(key):
        return False
    # If all images are to be kept, a cell that kept fewer is not finished.
    record = store.record(key) or {}
    return not keep_all or int(record["pictures"]) >= _pictures(plan, plan.cells[key], keep_all)


def _pictures(plan: Plan, cell: Cell, keep_all: bool) -> int:
    """Return how many images tried a cell keeps: none if another cell keeps the same images."""
    if cell.source() != cell or not KINDS[cell.kind].pictures:
        return 0
    return len(plan.images_of(cell)) if keep_all else PICTURES


def execute(
    plan: Plan,
    store: Store,
    scope: Scope = ALL_MISSING,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    wanted: Collection[str] | None = None,
    added: Added | None = None,
    request: Mapping[str, Any] | None = None,
) -> Outcome:
    """Compute the missing cells of a plan and log the run.

    Args:
        plan: the plan to run.
        store: where rows go.
        scope: which cells are computed, and how many images are kept.
        on_event: called as each cell starts, advances, ends or fails.
        wanted: the result of `todo` for the same arguments if at hand, since that reads all finished
            cells.
        added: what the log says of images that were added to undecided comparisons, if any were.
        request: the first line of the log, where it is not that of the plan.

    Raises:
        StoreError: rows cannot be saved (nothing saved before is lost), or a model's answers changed
            since its rows were made.
        ValueError: the plan is a sketch.
    """
    if plan.sketch:
        raise ValueError("a plan made without training cannot be run; make it with train=True")
    refused = check_answers(plan, store)
    for line in earlier_versions(plan, store):
        on_event({"event": "note", "note": line})
    if wanted is None:
        wanted = todo(plan, store, scope)
    log = start_run(store, manifest(plan, scope.shard, added) if request is None else request)
    # While images are added, the cells that were done before are not all looked at again.
    others = plan.cells if added is None else ()
    kept = tuple(key for key in others if key not in wanted and store.is_done(key))
    for key in kept:
        _tell(log, on_event, {"event": "kept", "cell": key})
    computed, failed = [], []
    run_cache, siblings = (
        RunCache(plan.adapters),
        siblings_in(plan, store, () if scope.anew else wanted),
    )
    for key in wanted:
        cell = plan.cells[key]
        on_event({"event": "start", "cell": key, "title": cell.title()})
        began = time.perf_counter()
        try:
            if cell.model in refused:
                raise refused[cell.model]
            for event in _compute(siblings, key, run_cache, scope):
                if event["event"] == "chunk":
                    on_event(event)
                else:
                    _tell(log, on_event, event)
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


def _compute(siblings: Siblings, key: str, run_cache: RunCache, scope: Scope) -> Iterator[Event]:
    """Compute the chunks of a cell that are not saved yet, yielding an event for each and what was taken over."""
    plan, store = siblings.plan, siblings.store
    cell = plan.cells[key]
    adapter, images = plan.adapters[cell.model], plan.images_of(cell)
    check_images(adapter, images.first(1).images, images.labels[:1])
    keep = _pictures(plan, cell, scope.keep_all)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    begin(store, key, identity(cell))
    done: set[int] = set()
    if not scope.anew:
        done = store.done_chunks(key)
        for giver, count, starts in take_over(siblings, key, done, keep):
            yield {"event": "taken over", "cell": key, "from": giver, "images": count}
            done |= starts
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
    return task_of(cell, run_cache, perturbation, substitute), facts


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

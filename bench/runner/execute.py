"""Running a plan: finished cells are kept, missing ones are computed, and the run is logged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bench.runner.answers import check_answers, earlier_versions
from bench.runner.compute import Event, failed, one_by_one, pictures_of
from bench.runner.manifest import manifest
from bench.runner.plan import Plan
from bench.runner.scope import ALL_MISSING, Scope, parse_shard
from bench.spec import Cell
from bench.store.added import Added
from bench.store.identity import cell_key
from bench.store.runlog import RunLog, start_run
from bench.store.store import Store

#: How cells are computed: a generator of their events.
Computing = Callable[[Plan, Store, Scope, Sequence[str]], Generator[Event]]

#: Events that are shown, and not logged.
_PASSING = ("start", "chunk", "note")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its name, and the keys of the cells computed, kept from earlier, and failed."""

    run: str
    computed: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]


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
    if not keep_all:
        return True
    record = store.record(key) or {}
    return int(record["pictures"]) >= pictures_of(plan, plan.cells[key], keep_all)


def execute(
    plan: Plan,
    store: Store,
    scope: Scope = ALL_MISSING,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    wanted: Collection[str] | None = None,
    added: Added | None = None,
    request: Mapping[str, Any] | None = None,
    compute: Computing = one_by_one,
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
        compute: computes the cells: one by one in this process, or in several.

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
    others = plan.cells.keys() - set(wanted) if added is None else set()
    kept = tuple(key for key in plan.cells if key in others and store.is_done(key))
    told = [{"event": "kept", "cell": key} for key in kept]
    log.append(*told)
    for event in told:
        on_event(event)
    ended: dict[str, list[str]] = {"done": [], "failed": []}
    sound = [key for key in wanted if plan.cells[key].model not in refused]
    spoilt = (
        failed(store, key, refused[plan.cells[key].model])
        for key in wanted
        if plan.cells[key].model in refused
    )
    with closing(compute(plan, store, scope, sound)) as events:
        for event in chain(spoilt, events):
            if event["event"] in _PASSING:
                on_event(event)
                continue
            _tell(log, on_event, event)
            if event["event"] in ended:
                ended[event["event"]].append(event["cell"])
    log.append({"event": "end"})
    return Outcome(log.run, tuple(ended["done"]), kept, tuple(ended["failed"]))


def _tell(log: RunLog, on_event: Callable[[Event], None], event: Event) -> None:
    log.append(event)
    on_event(event)

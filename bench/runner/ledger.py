"""What is left to do of a run that several workers compute, and what became of cells whose worker died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import bench.errors
from bench.errors import WorkerError
from bench.runner.compute import Event, failed
from bench.runner.units import Queue, Unit
from bench.store.store import Store

#: How often a cell is tried that kills its worker.
TRIES = 2


class Holder(Protocol):
    """Who computes a unit; it knows the keys of the cells that are left."""

    left: list[str]


class Ledger:
    """The units that wait, the cells that the run's own process has to compute, and deaths by cell.

    Attributes:
        queue: of the units that wait.
        here: cells that the workers cannot compute.
        why: in words, why not; the reasons that they gave.
    """

    def __init__(self, store: Store, units: Sequence[Unit]) -> None:
        self.queue, self._store = Queue(units), store
        self.here: list[str] = []
        self.why: list[str] = []
        self._deaths: Counter[str] = Counter()

    def told(self, holder: Holder, event: Event) -> Iterator[Event]:
        """Note what a worker says, and yield it if it is for the run.

        Raises:
            BenchError: the worker cannot go on.
        """
        if event["event"] == "stop":
            raise getattr(bench.errors, event["error"])(event["message"])
        if event["event"] == "differ":
            self.here += event["cells"]
            if event["why"] and event["why"] not in self.why:
                self.why.append(event["why"])
            holder.left = [key for key in holder.left if key not in event["cells"]]
            return
        if event["event"] in ("done", "failed"):
            holder.left.remove(event["cell"])
        yield event

    def dropped(
        self, unit: Unit, left: Sequence[str], how: str, tries: int = TRIES
    ) -> Iterator[Event]:
        """Put back what is left of a unit whose worker died; a cell that was tried often enough fails.

        Args:
            unit: what it had to do.
            left: the keys of the cells that are left.
            how: in words, how it died.
            tries: how often the cell that it was at may be tried.
        """
        keys = tuple(left)
        if keys:
            self._deaths[keys[0]] += 1
            if self._deaths[keys[0]] >= tries:
                why = WorkerError(f"its worker {how}, {self._deaths[keys[0]]} times")
                yield failed(self._store, keys[0], why)
                keys = keys[1:]
        if keys:
            self.queue.put_back(replace(unit, keys=keys))

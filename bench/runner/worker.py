"""One worker process: it loads models and data by their names, and computes the units of work that it is sent.

`bench.runner.workers` starts it and tells what goes over the connection. Nothing live is sent: a worker makes
the plan again, of the models of its unit alone, and its cells have the same keys there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bench.errors import BenchError, PrerequisiteError, StoreError
from bench.registry import load_installed, load_plugin
from bench.runner.compute import Event, one_by_one
from bench.runner.grown import with_cells
from bench.runner.loading import Setting
from bench.runner.plan import Plan, make_plan
from bench.runner.scope import Scope
from bench.runner.selection import Selection
from bench.runner.units import Unit
from bench.spec import Suite
from bench.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker has to know once: how the plan was made, and where rows go.

    Attributes:
        suite: with what the command says in place of its words.
        selection: the part of it that is run.
        setting: how and where cells are computed.
        plugins: the user's files that were loaded.
        results: the results folder.
        scope: which cells are computed, and how many images are kept.
    """

    suite: Suite
    selection: Selection
    setting: Setting
    plugins: tuple[Path, ...]
    results: Path
    scope: Scope


def work(connection: Connection) -> None:
    """Compute the units that come over a connection until it closes."""
    order: Order = connection.recv()
    try:
        known = Known(order)
        store, units = Store(order.results), _coming(connection)
        while True:
            connection.send({"event": "idle"})
            for event in computed(known, store, units.get()):
                connection.send(event)
    except (StoreError, PrerequisiteError) as error:
        connection.send(stop(error))


def stop(error: BenchError, where: str = "") -> Event:
    """Return the event by which a worker ends the run, since it cannot go on."""
    return {"event": "stop", "error": type(error).__name__, "message": f"{where}{error}"}


def _coming(connection: Connection) -> queue.SimpleQueue[Unit]:
    """Return a queue of the units that come; when the other side is gone, the process ends at once."""
    units: queue.SimpleQueue[Unit] = queue.SimpleQueue()

    def receive() -> None:
        while True:
            try:
                units.put(connection.recv())
            except (EOFError, OSError):
                os._exit(1)

    threading.Thread(target=receive, daemon=True).start()
    return units


class Known:
    """What a worker has loaded: the user's files and its last plan, since the next unit is often of the same models.

    Attributes:
        scope: which cells are computed, and how many images are kept.
        why: in words, what of the last plan cannot be had in this process.
    """

    def __init__(self, order: Order) -> None:
        """Load the user's files.

        Raises:
            BenchError: one of them fails.
        """
        load_installed()
        for plugin in order.plugins:
            load_plugin(plugin)
        self._order, self.scope, self.why = order, order.scope, ""
        self._models: tuple[str, ...] = ()
        self._plan: Plan | None = None

    def plan(self, unit: Unit) -> Plan | None:
        """Return the plan of a unit's models, with its cells; None if its models cannot be had in this process."""
        if unit.models != self._models:
            order, self._models = self._order, unit.models
            part = dataclasses.replace(order.selection, models=unit.models)
            try:
                self._plan = make_plan(order.suite, part, order.setting)
                self.why = "; ".join(self._plan.broken.values())
            except (StoreError, PrerequisiteError):
                raise
            except BenchError as error:
                self._plan, self.why = None, str(error)
        return None if self._plan is None else with_cells(self._plan, unit.cells)


def computed(known: Known, store: Store, unit: Unit, *, siblings: bool = True) -> Iterator[Event]:
    """Compute the cells of a unit and yield what happens, first which of them are others in this process.

    Args:
        known: what this process has loaded.
        store: where rows go.
        unit: the cells.
        siblings: see `bench.runner.compute.one_by_one`.

    Raises:
        StoreError: rows cannot be saved.
        PrerequisiteError: something that a cell needs is missing.
    """
    plan = known.plan(unit)
    cells = {} if plan is None else plan.cells
    others = [key for key in unit.keys if key not in cells]
    if others:
        yield {"event": "differ", "cells": others, "why": known.why}
    if plan is not None:
        same = [key for key in unit.keys if key in cells]
        yield from one_by_one(plan, store, known.scope, same, siblings=siblings)


if __name__ == "__main__":
    # Whoever is told would be the run that this process works for, and that is gone.
    with contextlib.suppress(ConnectionError, EOFError):
        work(Connection(int(sys.argv[1])))

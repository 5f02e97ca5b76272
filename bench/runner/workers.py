"""Computing cells in several processes on one machine.

Each worker (`bench.runner.worker`) is sent one unit of work after the other, and sends back the events of
its cells; rows it writes itself, since the store takes many writers. What is said over its connection:

    to it    an `Order`, then `Unit`s
    from it  {"event": "idle"}                       it waits for a unit
             the events of `bench.runner.compute.one_by_one`
             {"event": "differ", "cells": [...]}     its plan has no such cells: a model is another one there
             {"event": "stop", "error", "message"}   it cannot go on, and the run ends
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

import bench.errors
from bench.errors import PrerequisiteError, WorkerError
from bench.runner.compute import Event, one_by_one
from bench.runner.estimate import estimate
from bench.runner.ledger import TRIES, Ledger
from bench.runner.loading import resolve_device
from bench.runner.plan import Plan
from bench.runner.scope import Scope
from bench.runner.units import Unit, units_of
from bench.runner.worker import Order
from bench.store.store import Store

#: Work of fewer seconds is done before workers have loaded their models.
_WORTH = 60.0

#: Bytes of memory that a worker may need.
_MEMORY = 2 * 2**30

#: Seconds that a worker has to end when it is told to.
_PATIENCE = 5.0


@dataclass(eq=False, slots=True, kw_only=True)
class _Worker:
    """A process, the number of its place among the workers, its last unit, and what is left of that."""

    process: subprocess.Popen[bytes]
    connection: Connection
    place: int
    began: bool = False
    unit: Unit | None = None
    left: list[str] = field(default_factory=list)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The models that it has."""
        return self.unit.models if self.unit else ()

    def give(self, unit: Unit) -> None:
        self.unit, self.left = unit, list(unit.keys)
        with contextlib.suppress(OSError):  # it has died, which is heard next
            self.connection.send(unit)

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def worker_count(seconds: float, cuda_devices: int) -> int:
    """Return how many workers are fastest where nobody says: one a GPU, or one a core.

    Networks as small as those of the suites gain next to nothing from a second thread, so that a process a core
    is nearly as many times faster; but it takes seconds to start.

    Args:
        seconds: that the work is expected to take one process.
        cuda_devices: how many GPUs the run may use; 0 on the CPU.
    """
    if seconds < _WORTH:
        return 1
    if cuda_devices:
        return cuda_devices
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores(), memory // _MEMORY))


def workers_for(
    order: Order, count: int | None, expected: Mapping[str, float] | None = None
) -> Workers:
    """Return what computes the cells of a run in so many processes; None for as many as are fastest.

    Args:
        order: what each of them has to know.
        count: how many.
        expected: seconds that cells are expected to take, by key, as far as that is known.

    Raises:
        PrerequisiteError: a GPU that is named is not there.
    """
    devices = cuda_devices() if resolve_device(order.setting.device) == "cuda" else ()
    if len(devices) > torch.cuda.device_count():
        raise PrerequisiteError(
            f"--device: of the GPUs {', '.join(devices)}, torch sees {torch.cuda.device_count()}"
        )
    return Workers(order=order, count=count, devices=devices, expected=expected or {})


def seconds_of(
    wanted: Sequence[str], expected: Mapping[str, float], plan: Plan, store: Store, scope: Scope
) -> Mapping[str, float]:
    """Return the seconds that cells are expected to take, by key: as expected, or estimated where that lacks some."""
    if expected.keys() >= set(wanted):
        return expected
    return estimate(plan, store, wanted, anew=scope.anew).seconds


def cuda_devices() -> tuple[str, ...]:
    """Return the CUDA devices that this process may use, as `CUDA_VISIBLE_DEVICES` has them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(filter(None, (name.strip() for name in named.split(","))))
    return tuple(str(number) for number in range(torch.cuda.device_count()))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Ledger(Ledger):
    """The ledger of a run's workers, of which none may be able to start."""

    def __init__(self, store: Store, units: Sequence[Unit]) -> None:
        super().__init__(store, units)
        self._failed_starts = 0

    def died(self, worker: _Worker) -> Iterator[Event]:
        """Put back what a worker that died had to do; a cell that has killed two fails.

        Raises:
            WorkerError: as many in a row died before they could work.
        """
        worker.end()
        how = _how(worker.process.returncode)
        self._failed_starts = 0 if worker.began else self._failed_starts + 1
        if self._failed_starts == TRIES:
            raise WorkerError(
                f"{TRIES} workers, one after the other, {how} as they started; compute with --workers 1"
            )
        if worker.unit:
            yield from self.dropped(worker.unit, worker.left, how)


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Computes the cells of a plan in several processes, or in this one where that is no slower.

    Attributes:
        order: what each of them has to know.
        count: how many there are at most; None for as many as are fastest.
        devices: the CUDA devices that they share, by number; empty for the CPU.
        expected: seconds that cells are expected to take, by key, where that is known; else it is estimated.
    """

    order: Order
    count: int | None = None
    devices: tuple[str, ...] = ()
    expected: Mapping[str, float] = field(default_factory=dict)

    def __call__(
        self, plan: Plan, store: Store, scope: Scope, wanted: Sequence[str]
    ) -> Generator[Event]:
        """Compute cells and yield what happens, as `bench.runner.compute.one_by_one`.

        Raises:
            StoreError: rows cannot be saved.
            PrerequisiteError: something that a cell needs is missing.
            WorkerError: no worker can be started.
        """
        units, count = self._shared(plan, store, scope, wanted)
        if count < 2:
            yield from one_by_one(plan, store, scope, wanted)
            return
        ledger = _Ledger(store, units)
        workers: dict[Connection, _Worker] = {}
        threads = max(1, cores() // count)
        try:
            for place in range(count):
                self._start(workers, place, threads)
            while workers:
                for connection in wait(list(workers)):
                    assert isinstance(connection, Connection)
                    yield from self._heard(workers, connection, ledger, threads)
        finally:
            for worker in workers.values():
                worker.end()
        if ledger.here:
            yield {"event": "note", "note": _differing(plan, ledger.here)}
            yield from one_by_one(plan, store, scope, ledger.here)

    def _shared(
        self, plan: Plan, store: Store, scope: Scope, wanted: Sequence[str]
    ) -> tuple[list[Unit], int]:
        """Return the units of cells, the longest first, and how many workers share them."""
        if self.count == 1 or not wanted:
            return [], 0
        seconds = seconds_of(wanted, self.expected, plan, store, scope)
        units = units_of(plan, wanted, seconds)
        total = sum(seconds[key] for key in wanted)
        return units, min(self.count or worker_count(total, len(self.devices)), len(units))

    def _heard(
        self,
        workers: dict[Connection, _Worker],
        connection: Connection,
        ledger: _Ledger,
        threads: int,
    ) -> Iterator[Event]:
        """Answer a worker that says something or has died, and yield what is for the run."""
        worker = workers[connection]
        try:
            event = connection.recv()
        except (EOFError, OSError):
            del workers[connection]
            yield from ledger.died(worker)
            if ledger.queue:
                self._start(workers, worker.place, threads)
            return
        if event["event"] != "idle":
            yield from ledger.told(worker, event)
            return
        worker.began = True
        elsewhere = [one.loaded for one in workers.values() if one is not worker]
        unit = ledger.queue.take(worker.loaded, elsewhere)
        if unit is None:
            del workers[connection]
            worker.end()
        else:
            worker.give(unit)

    def _start(self, workers: dict[Connection, _Worker], place: int, threads: int) -> None:
        ours, theirs = socket.socketpair()
        root = str(Path(bench.errors.__file__).parents[1])
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
            "OMP_NUM_THREADS": str(threads),
        }
        if self.devices:
            env["CUDA_VISIBLE_DEVICES"] = self.devices[place % len(self.devices)]
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.runner.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL, stdout=2, env=env, pass_fds=[theirs.fileno()],
            start_new_session=True,  # a Ctrl-C is for the command, which ends its workers
        )  # fmt: skip
        theirs.close()
        connection = Connection(ours.detach())
        workers[connection] = _Worker(process=process, connection=connection, place=place)
        with contextlib.suppress(OSError):
            connection.send(self.order)


def _how(code: int) -> str:
    """Return in words how a process ended, such that one or several may have."""
    if code == -signal.SIGKILL:
        return "got killed, perhaps for want of memory"
    return f"died ({signal.Signals(-code).name})" if code < 0 else f"ended with {code}"


def _differing(plan: Plan, keys: Sequence[str]) -> str:
    titles = ", ".join(dict.fromkeys(plan.cells[key].model.title() for key in keys))
    return (
        f"{titles}: another model in each process, as one whose weights are drawn without a seed; its cells are "
        f"computed without workers"
    )

"""Computing cells on a Ray cluster: each unit of work is a task.

Ray finds a machine for each task and says when one has died; what was left of its unit is then submitted again,
without the cells that are done. Ray's own retries would repeat those too, and for ever a cell for which
no machine has memory enough. Nothing is lost with the machines or with this process, since all that counts is in the store.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import PrerequisiteError, SpecError, WorkerError
from bench.registry import first_line
from bench.runner.compute import Event, one_by_one, taken_over
from bench.runner.ledger import TRIES, Ledger
from bench.runner.luggage import Luggage
from bench.runner.plan import Plan
from bench.runner.ray_worker import Errand, compute
from bench.runner.scope import Scope
from bench.runner.taken_over import Siblings, siblings_in
from bench.runner.units import Unit, units_of
from bench.runner.worker import Order
from bench.runner.workers import seconds_of
from bench.store.carry import files_in, put_files
from bench.store.files import TEMPORARY, atomic_write
from bench.store.store import Store
from bench.version import __version__

#: The address that starts Ray on this machine alone, for the run.
ALONE = "local"

#: So many tasks are submitted before others have ended.
_AHEAD = 500

#: How often a cell is tried that was on machines that died: cheap ones may be taken away at any time.
_MACHINES = 5

#: Seconds after which it is looked whether something waits.
_TICK = 1.0

#: Seconds that a cluster has to answer.
_PATIENCE = 20

#: Why a cell is another one on a machine that gives no reason.
_OTHER = "other cells there: weights drawn without a seed, or fewer images at once for want of memory (--batch-size)"

#: What a process ends with that has found no cluster.
_NONE = 3

#: Prints why a cluster cannot be joined; a process of its own, since Ray cannot be interrupted while it waits.
_JOIN = """\
import logging, sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
except ConnectionError:
    sys.exit(3)  # _NONE
except Exception as error:
    print(str(error).strip().splitlines()[0])
"""


def check_ray(address: str) -> None:
    """Check that a run can be computed on a cluster, within seconds.

    Raises:
        PrerequisiteError: Ray is not installed, or no cluster answers.
        SpecError: an address of Ray's client, over which tasks cannot report while they run.
    """
    if importlib.util.find_spec("ray") is None:
        raise PrerequisiteError("--executor ray needs Ray; run: pip install 'crossfire-bench[ray]'")
    if address.startswith("ray://"):
        raise SpecError(
            f"--address {address}: run bench on a machine of the cluster, with --address auto or HOST:PORT of its head"
        )
    if address == ALONE:
        return
    _quietly()
    if not _listens(address) or (why := _why_not_joined(address)) is None:
        raise PrerequisiteError(
            f"--address {address}: no Ray cluster answers there; start one with: ray start --head, or leave --address "
            f"out to compute on this machine alone"
        )
    if why:
        raise PrerequisiteError(f"--address {address}: {why}")


def _listens(address: str) -> bool:
    """Return whether anything listens at HOST:PORT; other addresses may be found by Ray."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return True
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError):
        return False
    return True


def _why_not_joined(address: str) -> str | None:
    """Return why a cluster cannot be joined, nothing where it can, and None where it does not answer."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _JOIN, address],
            capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    if tried.returncode == _NONE:
        return None
    return tried.stdout.strip() if tried.returncode == 0 else f"Ray ended with {tried.returncode}"


def _quietly() -> None:
    """Tell Ray to send nothing about its use to anybody; it reads this when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


@dataclass(eq=False, slots=True, kw_only=True)
class _Flight:
    """A task that was submitted: its unit, and the keys of the cells that are left."""

    unit: Unit
    left: list[str]


@dataclass(frozen=True, kw_only=True)
class OnRay:
    """Computes the cells of a plan on a Ray cluster.

    Attributes:
        order: what each task has to know.
        address: of the cluster; `local` to start Ray on this machine for the run.
        luggage: the files that travel.
        expected: seconds that cells are expected to take, by key, where that is known; else it is estimated.
    """

    order: Order
    address: str
    luggage: Luggage
    expected: Mapping[str, float] = field(default_factory=dict)

    def __call__(
        self, plan: Plan, store: Store, scope: Scope, wanted: Sequence[str]
    ) -> Generator[Event]:
        """Compute cells and yield what happens, as `bench.runner.compute.one_by_one`.

        The cluster is joined at first, and left when this process ends, since a run may add cells.

        Raises:
            StoreError: rows cannot be saved.
            PrerequisiteError: something that a cell needs is missing.
            WorkerError: the tasks cannot run.
        """
        if not wanted:
            return
        if self.luggage.left:
            yield {"event": "note", "note": _left_here(self.luggage.left)}
        seconds = seconds_of(wanted, self.expected, plan, store, scope)
        ledger = Ledger(store, units_of(plan, wanted, seconds))
        siblings = siblings_in(plan, store, () if scope.anew else wanted)
        marker = store.root.absolute() / f"{TEMPORARY}{secrets.token_hex(8)}"
        try:
            atomic_write(marker, b"")
            with tempfile.TemporaryDirectory(prefix="crossfire-") as folder:
                self.luggage.pack(Path(folder))
                join(self.address, folder)
            yield from Tasks(self._errand(marker), ledger, siblings, scope).events()
        finally:
            marker.unlink(missing_ok=True)
        if ledger.here:
            yield {"event": "note", "note": _differing(plan, ledger)}
            yield from one_by_one(plan, store, scope, ledger.here)

    def _errand(self, marker: Path) -> Errand:
        """Return what each task has to know, for the device that the cluster has."""
        import ray

        device = self.order.setting.device
        if device == "auto":
            device = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
        plugins = tuple(map(Path, self.luggage.plugins))
        setting = replace(self.order.setting, device=device)
        return Errand(order=replace(self.order, setting=setting, plugins=plugins), marker=marker)


class Tasks:
    """The tasks of a run: those in flight, and what waits."""

    def __init__(self, errand: Errand, ledger: Ledger, siblings: Siblings, scope: Scope) -> None:
        import ray

        self._ledger, self._siblings, self._scope = ledger, siblings, scope
        self._errand = ray.put(errand)
        self._on_gpu = errand.order.setting.device == "cuda"
        resources = {"num_cpus": 1, "num_gpus": int(self._on_gpu)}
        self._task = ray.remote(num_returns="streaming", max_retries=0, **resources)(compute)
        self._flights: dict[Any, _Flight] = {}

    def events(self) -> Iterator[Event]:
        """Submit what waits and yield what the tasks say, until nothing is left."""
        import ray

        if self._on_gpu and not ray.cluster_resources().get("GPU"):
            line = "no machine of the cluster has a GPU; waiting for one (--device cpu needs none)"
            yield {"event": "note", "note": line}
        while self._ledger.queue or self._flights:
            while self._ledger.queue and len(self._flights) < _AHEAD:
                yield from self._submit()
            ready, _ = ray.wait(list(self._flights), timeout=_TICK, fetch_local=False)
            for task in ready:
                yield from self._heard(task)

    def _submit(self) -> Iterator[Event]:
        unit = self._ledger.queue.take((), ())
        assert unit is not None
        begun = {}
        for key in unit.keys:
            yield from taken_over(self._siblings, key, self._scope)
            begun[key] = self._begun(key)
        task = self._task.remote(self._errand, unit, begun)
        self._flights[task] = _Flight(unit=unit, left=list(unit.keys))

    def _begun(self, key: str) -> dict[str, bytes]:
        """Return the files of a cell that is not finished: its chunks, and its errors, which are counted."""
        files = files_in(self._siblings.store.folder(key))
        if not self._scope.anew:
            return files
        return {name: content for name, content in files.items() if name.startswith("error-")}

    def _heard(self, task: Any) -> Iterator[Event]:
        """Take the next thing that a task says, or that it ended, and yield what is for the run."""
        import ray

        flight = self._flights[task]
        try:
            event = ray.get(next(task))
        except StopIteration:
            del self._flights[task]
            yield from self._ledger.dropped(flight.unit, flight.left, "ended before all was done")
            return
        except ray.exceptions.RayError as error:
            del self._flights[task]
            how, tries = _how(error)
            if flight.left:
                title = self._siblings.plan.cells[flight.left[0]].title()
                yield {"event": "note", "note": f"{title}: its worker {how}"}
            yield from self._ledger.dropped(flight.unit, flight.left, how, tries)
            return
        if event["event"] == "files":
            put_files(self._siblings.store.folder(event["cell"]), event["files"])
        else:
            yield from self._ledger.told(flight, event)


def join(address: str, luggage: str, **resources: int) -> None:
    """Join a cluster as the driver of a run, unless this process has done so.

    Args:
        address: of the cluster; `local` to start one on this machine.
        luggage: the folder whose files travel to whatever machine needs them.
        resources: of the machine, where one is started; by default all that it has.

    Raises:
        PrerequisiteError: it cannot be joined.
    """
    _quietly()
    import ray

    if ray.is_initialized():
        return
    main = threading.current_thread() is threading.main_thread()
    ended = signal.getsignal(signal.SIGTERM)
    alone: dict[str, Any] = {"include_dashboard": False, **resources} if address == ALONE else {}
    try:
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR, **alone,
            runtime_env={"working_dir": luggage, "env_vars": {"OMP_NUM_THREADS": "1"}},
        )  # fmt: skip
        # Words of the cluster go to stdout, where data goes, even with log_to_driver=False.
        ray._private.worker._worker_logs_enabled = False
        if main:  # that of Ray aborts with a trace of the stack; the end of this process ends what it started
            signal.signal(signal.SIGTERM, ended)
    except Exception as error:  # Ray raises what it likes
        raise PrerequisiteError(f"--address {address}: {first_line(error)}") from error


def _how(error: Exception) -> tuple[str, int]:
    """Return in words how a task died, and how often the cell that it was at may be tried.

    Raises:
        BenchError: the task would die so wherever it ran.
    """
    from ray import exceptions

    machines = (
        exceptions.NodeDiedError,
        exceptions.ObjectLostError,
        exceptions.LocalRayletDiedError,
    )
    if isinstance(error, machines):
        return "lost its machine", _MACHINES
    if isinstance(error, exceptions.OutOfMemoryError):
        return "got killed, for want of memory", TRIES
    if isinstance(error, exceptions.WorkerCrashedError):
        return "got killed, perhaps for want of memory", TRIES
    if isinstance(error, exceptions.RayTaskError):
        why = first_line(error.cause)
        if "No module named" in why:
            raise PrerequisiteError(
                f"a machine of the cluster lacks something ({why}); install crossfire-bench {__version__} on each"
            ) from error
        raise WorkerError(f"a task failed: {why}") from error
    raise WorkerError(f"the cluster failed: {first_line(error)}") from error


def _left_here(left: Sequence[Path]) -> str:
    return (
        f"{len(left)} files of the cache are too large to travel, such as {left[0]}; the machines of the cluster "
        f"make them again, which may come out differently on other processors"
    )


def _differing(plan: Plan, ledger: Ledger) -> str:
    titles = ", ".join(dict.fromkeys(plan.cells[key].model.title() for key in ledger.here))
    why = "; ".join(ledger.why) or _OTHER
    return f"{titles}: cannot be computed on the cluster ({why}); {len(ledger.here)} cells are computed here"

"""One task of a run on a Ray cluster: it computes a unit of work on whatever machine Ray picks.

A process of Ray computes many of them, one after the other, and keeps what it has loaded. If its machine sees the
results folder of the run, rows go there; if not, they are brought back chunk by chunk, as files of the store.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import BenchError, PrerequisiteError
from bench.paths import cache_dir, data_dir
from bench.runner.compute import Event
from bench.runner.luggage import CACHE, HERE
from bench.runner.units import Unit
from bench.runner.worker import Known, Order, computed, stop
from bench.store.carry import files_in, put_files
from bench.store.store import Store, open_store
from bench.version import __version__

#: Events after which a cell has new files.
_WRITES = ("chunk", "done", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What every task has to know.

    Attributes:
        order: as for a worker, its plug-ins as places in the luggage.
        marker: a file in the results folder of the run, by which a machine knows whether it sees that folder.
        version: of Crossfire.
    """

    order: Order
    marker: Path
    version: str = __version__


#: Files of cells by the cells' keys, each by its name in the cell's folder.
Files = Mapping[str, Mapping[str, bytes]]

#: What this process has loaded; one of Ray's belongs to a single run.
_known: Known | None = None


def compute(errand: Errand, unit: Unit, begun: Files) -> Iterator[Event]:
    """Compute a unit and yield what happens; see `bench.runner.worker.computed`.

    What has to be brought back comes as {"event": "files", "cell", "files"}, ahead of the event that tells of it.

    Args:
        errand: of the run.
        unit: the cells.
        begun: what the run has of them.
    """
    try:
        known = _prepared(errand)
        if errand.marker.exists():
            yield from computed(known, Store(errand.order.results), unit, siblings=False)
            return
        # In the luggage, which Ray removes with all that is in it, even if this process is killed.
        with tempfile.TemporaryDirectory(dir=Path.cwd().parent) as folder:
            yield from _brought_back(known, open_store(Path(folder) / "results"), unit, begun)
    except BenchError as error:
        yield stop(error, f"on {platform.node()}: ")


def _brought_back(known: Known, store: Store, unit: Unit, begun: Files) -> Iterator[Event]:
    sent = {key: set(begun.get(key, ())) for key in unit.keys}
    for key, files in begun.items():
        put_files(store.folder(key), files)
    for event in computed(known, store, unit, siblings=False):
        if event["event"] in _WRITES:
            key = event["cell"]
            files = files_in(store.folder(key), sent[key])
            sent[key].update(files)
            if files:
                yield {"event": "files", "cell": key, "files": files}
        yield event


def _prepared(errand: Errand) -> Known:
    """Return what this process has loaded; at first it moves into the luggage, which Ray has unpacked."""
    global _known
    if _known is not None:
        return _known
    if errand.version != __version__:
        raise PrerequisiteError(
            f"crossfire-bench {__version__} is installed there, the run is of {errand.version}; install the same"
        )
    luggage = Path.cwd()
    order = errand.order
    # Before the cache is another one, which would hold the data sets too.
    data = Path(order.setting.data or "")
    setting = replace(
        order.setting, data=data if order.setting.data and data.is_dir() else data_dir()
    )
    _use_cache(luggage / CACHE)
    os.chdir(luggage / HERE)
    plugins = tuple(luggage / plugin for plugin in order.plugins)
    _known = Known(replace(order, plugins=plugins, setting=setting))
    return _known


def _use_cache(packed: Path) -> None:
    """Let the cache be what came with the luggage, and beside it what this machine has downloaded or made."""
    own = cache_dir().absolute()
    for folder in own.iterdir() if own.is_dir() else ():
        with contextlib.suppress(FileExistsError):  # it came, or another process was faster
            (packed / folder.name).symlink_to(folder)
    os.environ["BENCH_CACHE"] = str(packed)

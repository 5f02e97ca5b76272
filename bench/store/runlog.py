"""The log of a run: which cells were asked for, and what became of each; one writer a file."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.store.files import atomic_write, cannot_write
from bench.store.store import SCHEMA, Store, now


class RunLog:
    """The log of the run in progress; made by `start_run`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: Mapping[str, Any]) -> None:
        """Add a line such as `{"event": "done", "cell": key}`; the time is added to it.

        Raises:
            StoreError: the disk is full.
        """
        line = _line({**event, "time": now()})
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                # One call, so that a kill does not tear the line; short only on a full disk.
                if os.write(handle, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise cannot_write(self.path, error) from error


def start_run(store: Store, asked: Mapping[str, Any]) -> RunLog:
    """Write the first line of a new log and return it, ready for the run's events.

    Args:
        store: where to.
        asked: what the run is about to do: `suite`, `title`, `protocol`, `cells`, `models`,
            `left_out`, `claims`, `shard`.

    Raises:
        StoreError: the disk is full.
    """
    store.sweep()
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    path = store.root / "runs" / f"{moment}-{secrets.token_hex(3)}.jsonl"
    start = {"event": "start", "schema": SCHEMA, "started": now(), **asked}
    atomic_write(path, _line(start))
    return RunLog(path)


def runs(store: Store) -> Iterator[dict[str, Any]]:
    """Yield the first lines of all logs, the last started run first.

    Raises:
        StoreError: a log's first line is damaged.
    """
    folder = store.root / "runs"
    names = (
        [path for path in folder.iterdir() if path.suffix == ".jsonl"] if folder.is_dir() else []
    )
    for path in sorted((one for one in names if not one.name.startswith(".")), reverse=True):
        with path.open("rb") as file:
            try:
                yield json.loads(file.readline())
            except ValueError as error:
                raise StoreError(
                    f"{path} is damaged; delete it and run the same command again"
                ) from error


def _line(event: Mapping[str, Any]) -> bytes:
    return (json.dumps(event, allow_nan=False) + "\n").encode()

"""The log of a run: which cells it asked for, and what became of each; one writer per file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.store.files import atomic_write, cannot_write, sweep
from bench.store.store import SCHEMA, Store, now

#: What the log itself adds to its first line.
_ADDED = ("event", "schema", "started")

#: Logs are numbered in the order of their start. Those of older versions are named by the time, which may
#: have been wrong; they come before all numbered logs.
_TURN = re.compile(r"(\d{6,})-[0-9a-f]{6}")


class RunLog:
    """The log of the run in progress; made by `start_run`.

    Attributes:
        run: the run's name.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.run = path, path.stem

    def append(self, *events: Mapping[str, Any]) -> None:
        """Add lines such as `{"event": "done", "cell": key}`, with the time; several are on the disk together.

        Raises:
            StoreError: the disk is full.
        """
        if not events:
            return
        time = now()
        line = b"".join(_line({**event, "time": time}) for event in events)
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND)
            try:
                if _ends_torn(handle):
                    line = b"\n" + line
                # One call, so that a kill does not split a line; it writes less only on a full disk.
                if os.write(handle, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise cannot_write(self.path, error) from error


def _ends_torn(handle: int) -> bool:
    """Return whether the last line of a log was cut short, as on a disk that got full."""
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"


def start_run(store: Store, request: Mapping[str, Any]) -> RunLog:
    """Write the first line of a new log and return it, ready for the run's events.

    Args:
        store: the results folder.
        request: what the run will do: `suite`, `content`, `asked`, `title`, `protocol`, `cells`,
            `models`, `trainings`, `left_out`, `claims`, `shard`; and `continues`, the name of another run,
            where it only adds cells to that.

    Raises:
        StoreError: the disk is full.
    """
    sweep(store.root, below=True)
    # Two runs that start at the same moment may get the same number; the random suffix differs.
    turn = max((_turn(path) for path in _logs(store)), default=0) + 1
    path = store.root / "runs" / f"{turn:06d}-{secrets.token_hex(3)}.jsonl"
    start = {"event": "start", "schema": SCHEMA, "started": now(), **request}
    atomic_write(path, _line(start))
    return RunLog(path)


def reopened(store: Store, run: str) -> RunLog:
    """Return the log of a run that ended, to add to it what was found of it later."""
    return RunLog(store.root / "runs" / f"{run}.jsonl")


def first_line(store: Store, run: str) -> dict[str, Any]:
    """Return what a run asked for, as it was given to `start_run`."""
    path = store.root / "runs" / f"{run}.jsonl"
    with path.open("rb") as file:
        start: dict[str, Any] = json.loads(file.readline())
    return {name: value for name, value in start.items() if name not in _ADDED}


def events(store: Store, run: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a run's log after the first; one that cannot be read is left out.

    Those of a run that it continues with more attacks come before its own.
    """
    path = store.root / "runs" / f"{run}.jsonl"
    if not path.is_file():  # deleted by hand
        return
    with path.open("rb") as file:
        before = json.loads(file.readline()).get("continues")
        if before is not None:
            yield from events(store, before)
        for line in file:
            # Of a run in progress, or where a disk was full, a line may be half written.
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def runs(store: Store) -> Iterator[dict[str, Any]]:
    """Yield the first lines of all logs, the run started last first, with the run's name as `run`.

    The order is the one in which runs started in this folder, independent of clocks.

    Raises:
        StoreError: a log's first line is damaged.
    """
    for path in sorted(_logs(store), key=lambda log: (_turn(log), log.name), reverse=True):
        with path.open("rb") as file:
            try:
                yield {**json.loads(file.readline()), "run": path.stem}
            except ValueError as error:
                raise StoreError(
                    f"{path} is damaged; delete it and run the same command again"
                ) from error


def _logs(store: Store) -> list[Path]:
    folder = store.root / "runs"
    paths = folder.iterdir() if folder.is_dir() else ()
    return [path for path in paths if path.suffix == ".jsonl" and not path.name.startswith(".")]


def _turn(path: Path) -> int:
    named = _TURN.fullmatch(path.stem)
    return int(named[1]) if named else 0


def _line(event: Mapping[str, Any]) -> bytes:
    return (json.dumps(event, allow_nan=False) + "\n").encode()

"""A disk that fails: it stands between Python and the files below some folders, and counts what is asked of it.

Each call that changes the disk (open for writing, write, fsync, rename, mkdir, unlink) is counted before it is
made, and a write once more when half of its bytes are written. What happens at a call is up to a fault: the
process is killed or stopped, or the call fails as it does on a disk that is full or read-only.
"""

from __future__ import annotations

import errno
import io
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

#: Called with the name of a call before it is made; what it raises is what the call raises.
Fault = Callable[[str], None]


class Turn:
    """A fault that comes at a call, counted from 1, in the process where it is armed, and not in its children."""

    def __init__(self, at: int, fault: Fault, *, lasts: bool = False) -> None:
        self.calls, self._at, self._fault, self._lasts = 0, at, fault, lasts
        self._process = 0

    def arm(self) -> None:
        self._process = os.getpid()

    def __call__(self, call: str) -> None:
        if os.getpid() != self._process:
            return
        self.calls += 1
        if self.calls == self._at or (self._lasts and self.calls > self._at):
            self._fault(call)


def killed(call: str) -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def stopped(call: str) -> None:
    """Stop this process until it is told to go on."""
    os.kill(os.getpid(), signal.SIGSTOP)


def full(call: str) -> None:
    """Fail as a full disk does, on which files can still be removed and renamed."""
    if call in ("open", "write", "half", "mkdir"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only(call: str) -> None:
    """Fail as a disk does that was mounted again to be read only."""
    if call not in ("fsync", "read"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class _File:
    """A file open for writing, whose bytes are written in two halves."""

    def __init__(self, file: Any, fault: Fault, fsynced: set[int]) -> None:
        self._file, self._fault = file, fault
        self._fsynced = fsynced
        fsynced.add(file.fileno())

    def write(self, data: bytes) -> int:
        self._fault("write")
        half = len(data) // 2
        self._file.write(data[:half])
        self._file.flush()
        self._fault("half")
        self._file.write(data[half:])
        return len(data)

    def close(self) -> None:
        self._fsynced.discard(self._file.fileno())
        self._file.close()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def faulty(roots: Sequence[Path], fault: Fault, *, reads: bool = False) -> Iterator[None]:
    """Let a fault come between this process and the files below some folders.

    Nothing is flushed to the disk, so that it is quick: what was written outlives the process all the same.

    Args:
        roots: absolute paths of the folders.
        fault: called before each call, with `open`, `write`, `half`, `fsync`, `rename`, `mkdir` or `unlink`.
        reads: whether it is called before a look at a file or a folder, too, with `read`.
    """
    below = tuple(str(root) for root in roots)
    ours: set[int] = set()  # open for writing

    def inside(path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(below)

    def before(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **more: Any) -> Any:
            if inside(path):
                fault(name)
            return real(path, *args, **more)

        return call

    def opened(path: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if not inside(path):
            return _OPEN(path, mode, *args, **more)
        if "r" in mode and "+" not in mode:
            if reads:
                fault("read")
            return _OPEN(path, mode, *args, **more)
        fault("open")
        return _File(_OPEN(path, mode, *args, **more), fault, ours)

    def handle(path: Any, flags: int, *args: Any, **more: Any) -> int:
        writes = inside(path) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        if writes:
            fault("open")
        number = _HANDLE(path, flags, *args, **more)
        if inside(path):
            ours.add(number)
        return number

    def write(number: int, data: bytes) -> int:
        if number not in ours:
            return _WRITE(number, data)
        fault("write")
        try:
            fault("half")
        except OSError:  # a full disk takes what there is room for
            return _WRITE(number, data[: len(data) // 2])
        return _WRITE(number, data)

    def fsync(number: int) -> None:
        if number in ours:
            fault("fsync")

    looks = ("stat", "listdir", "scandir") if reads else ()
    calls = {"open": handle, "write": write, "fsync": fsync}
    calls |= {name: before("rename", getattr(os, name)) for name in ("replace", "rename")}
    calls |= {name: before(name, getattr(os, name)) for name in ("mkdir", "unlink")}
    calls |= {name: before("read", getattr(os, name)) for name in looks}
    with mock.patch.multiple(os, **calls), mock.patch.object(io, "open", opened):
        yield


_OPEN, _HANDLE, _WRITE = io.open, os.open, os.write

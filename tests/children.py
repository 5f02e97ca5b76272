"""Forked children of a process that has imported everything: a process in milliseconds, to be killed."""

from __future__ import annotations

import ctypes
import gc
import importlib
import multiprocessing
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from typing import Any

KILLED = -signal.SIGKILL

_PATIENCE = 120.0  # seconds; a child that takes longer hangs
_SUBREAPER = 36  # of prctl: orphans become children of this process


def nursery(*modules: str) -> ProcessPoolExecutor:
    """Return an executor with a process of one thread, which may fork; pytest's own may have more."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), grow_up, modules)


def grow_up(*modules: str) -> None:
    """Make ready to fork: import modules, compute on one thread, and take in children of killed children."""
    for module in modules:
        importlib.import_module(module)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    gc.freeze()  # a child that collects does not touch, and so copy, all that was imported


def fork(work: Callable[[], Any]) -> int:
    """Run a function in a child, and return the number of its process."""
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        work()
        code = 0
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def wait(pid: int) -> int:
    """Wait for a child; return its exit code, or less the number of the signal that killed it."""
    handle = os.pidfd_open(pid)
    try:
        if not select.select([handle], [], [], _PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise TimeoutError(f"a child did not end in {_PATIENCE:.0f} s")
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(work: Callable[[], Any]) -> int:
    """Run a function in a child and wait for it; return what `wait` does."""
    return wait(fork(work))


def killed_after(seconds: float, work: Callable[[], Any]) -> bool:
    """Run a function in a child and kill it after so many seconds; return whether it was still at it."""
    pid = fork(work)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    code = wait(pid)
    assert code in (0, KILLED), f"a child ended with {code}"
    return code == KILLED


def stops(pid: int) -> bool:
    """Wait until a child stops itself or has ended; return whether it stopped."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def go_on(pid: int) -> int:
    """Let a child that is stopped go on, and wait for it; return what `wait` does."""
    os.kill(pid, signal.SIGCONT)
    return wait(pid)


def all_gone() -> None:
    """Wait for the children of killed children, which must end by themselves."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(0.005)
    raise TimeoutError("a child of a killed process did not end")

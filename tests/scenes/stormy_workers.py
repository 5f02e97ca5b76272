"""Workers of a stormy run that are forked, not started: in milliseconds, and with a fault where one is planned."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import children
from faulty_disk import Turn
from scenes import stormy


class Forked:
    """What `subprocess.Popen` is to a worker, of a process that has imported all it needs."""

    def __init__(self, born: Callable[[], Any], command: list[str], **more: Any) -> None:
        number = int(command[-1])

        def work() -> None:
            from multiprocessing.connection import Connection

            from bench.runner import worker

            os.setsid()
            os.closerange(3, number)
            os.closerange(number + 1, 1024)
            born()
            with suppress(ConnectionError, EOFError):
                worker.work(Connection(number))

        self.pid, self.returncode = children.fork(work), None

    def terminate(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)

    kill = terminate

    def wait(self, seconds: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = children.wait(self.pid)
        return self.returncode


def run(suite: Path, root: Path, fault: Turn | None = None) -> list[int]:
    """Run the suite with two workers, and a fault in the first; return how all of them ended, the first one first."""
    from bench.runner import workers
    from bench.runner.execute import execute
    from bench.runner.loading import Setting
    from bench.runner.scope import ALL_MISSING
    from bench.runner.selection import Selection
    from bench.runner.suite import load_suite
    from bench.runner.worker import Order
    from bench.store.store import open_store

    plan, started = stormy.plan(suite), []
    order = Order(
        suite=load_suite(str(suite)), selection=Selection(), setting=Setting(batch_size=4, device="cpu"),
        plugins=(), results=root, scope=ALL_MISSING,
    )  # fmt: skip

    def start(command: list[str], **more: Any) -> Forked:
        first = fault is not None and not started
        started.append(Forked(fault.arm if first else lambda: None, command, **more))
        return started[-1]

    with mock.patch.object(workers.subprocess, "Popen", start):
        execute(plan, open_store(root), compute=workers.Workers(order=order, count=2))
    return [worker.returncode for worker in started]

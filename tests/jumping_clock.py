"""A clock that is wrong by years, and by other years each time that somebody looks at it."""

from __future__ import annotations

import datetime
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

_TIME, _DAY = time.time, 24 * 3600.0


@contextmanager
def ahead(days: float) -> Iterator[None]:
    """Let the clock be so many days ahead."""
    with _clock(lambda: _TIME() + days * _DAY):
        yield


@contextmanager
def jumping() -> Iterator[None]:
    """Let the clock jump between 1970 and the end of the century."""
    dice = random.Random(0)
    with _clock(lambda: dice.uniform(0, 4e9)):
        yield


@contextmanager
def _clock(now: object) -> Iterator[None]:
    real = datetime.datetime

    class Wrong(real):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real.fromtimestamp(time.time(), tz)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(time, "time", now))
        for name, module in list(sys.modules.items()):
            if name.startswith("bench") and getattr(module, "datetime", None) is real:
                stack.enter_context(mock.patch.object(module, "datetime", Wrong))
        yield

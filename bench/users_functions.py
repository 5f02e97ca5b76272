"""Calling the functions of what a user registers: an error in one becomes one clear line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError, PrerequisiteError, StoreError, TrainingFailed
from bench.registry import first_line, users_code, users_frames, where


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a user registered, to whose functions errors are put down.

    Attributes:
        title: such as `family 'means'`.
        origin: where it is defined, for errors that arise outside the user's code.
        error: the type of the errors.
    """

    title: str
    origin: str
    error: type[BenchError]

    @contextmanager
    def blamed(self, role: str) -> Iterator[None]:
        """Report an error of the code within the context as one line.

        Args:
            role: what fails, such as the name of a function.

        Raises:
            BenchError: of the type `error`, or unchanged if it says itself what is missing.
        """
        try:
            with users_code():
                yield
        except (PrerequisiteError, StoreError, TrainingFailed, self.error):
            raise
        except (Exception, SystemExit) as error:  # anybody's code
            place = where(error) if users_frames(error) else Path(self.origin).name
            what = str(error) if isinstance(error, BenchError) else first_line(error)
            raise self.error(f"{self.title}: {place}: its {role} failed: {what}") from error

    def refused(self, role: str, returned: object, wanted: str) -> BenchError:
        """Return the error for a function that returned something it must not."""
        return self.error(
            f"{self.title}: {Path(self.origin).name}: its {role} returned "
            f"{type(returned).__name__}; return {wanted}"
        )

    def guarded(
        self,
        role: str,
        function: Callable[..., Any],
        fits: Callable[[Any], bool] = lambda returned: True,
        wanted: str = "",
    ) -> Callable[..., Any]:
        """Return a function whose errors are one line, and whose results are checked.

        Args:
            role: the name of the function in what was registered.
            function: the user's.
            fits: whether it may return a value.
            wanted: what it must return, in words.
        """

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.blamed(role):
                returned = function(*args, **kwargs)
            if not fits(returned):
                raise self.refused(role, returned, wanted)
            return returned

        return call

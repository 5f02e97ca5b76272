"""The trackers by name, and logging to one. Imports none of them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from bench.errors import PrerequisiteError
from bench.registry import first_line, users_code

if TYPE_CHECKING:
    from bench.trackers.tracked_run import TrackedRun

#: By name, which is that of its extra: the package that it needs.
TRACKERS: Mapping[str, str] = {"mlflow": "mlflow", "wandb": "wandb", "tensorboard": "tensorboard"}


def installed(tracker: str) -> bool:
    """Return whether the package of a tracker is here."""
    return importlib.util.find_spec(TRACKERS[tracker]) is not None


def check_installed(trackers: Collection[str]) -> None:
    """Check that runs can be logged, before hours are spent on one.

    Raises:
        PrerequisiteError: the package of a tracker is missing.
    """
    for tracker in trackers:
        if not installed(tracker):
            raise PrerequisiteError(
                f"--tracker {tracker} needs {TRACKERS[tracker]}; run: pip install 'crossfire-bench[{tracker}]'"
            )


def log_to(tracker: str, run: TrackedRun) -> str:
    """Log a run that is finished, and return where it lies, in words.

    Raises:
        PrerequisiteError: the tracker fails, as it does when its server is down.
    """
    module = importlib.import_module(f"bench.trackers.{tracker}")
    try:
        with users_code():  # some print to stdout
            where: str = module.log(run)
    except Exception as error:  # other people's libraries raise what they like
        raise PrerequisiteError(f"{tracker} did not take the run: {first_line(error)}") from error
    return where

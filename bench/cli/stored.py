"""What a run left, for the commands that read it; which run that is, is said on stderr."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import PrerequisiteError, SpecError

if TYPE_CHECKING:
    from bench.store.results import Results
    from bench.store.store import Store

Found = TypeVar("Found")


def stored(suite: str, results: Path, run: str | None = None) -> Results:
    """Return what a run of a suite left: of the one named, else of the last that was started.

    Raises:
        SpecError: there is no such suite and no run of that name, or no such run.
        PrerequisiteError: no run of the suite as its file is now is in the folder.
    """
    from bench.cli.display import say
    from bench.store.results import load_results

    found = _by_content(suite, lambda content: load_results(results, suite, content, run))
    for line in found.notes:
        say(line)
    say(about(found))
    return found


def begun(suite: str, results: Path, run: str | None = None) -> tuple[Store, dict[str, Any]]:
    """Return the results folder and the first line of the log of a run, of which no rows are read.

    Raises:
        SpecError: as in `stored`.
        PrerequisiteError: as in `stored`.
    """
    from bench.cli.display import say
    from bench.store.chosen import chosen_in

    store, chosen = _by_content(suite, lambda content: chosen_in(results, suite, content, run))
    for line in chosen.notes:
        say(line)
    say(_about(chosen.start["run"], chosen.start["started"], chosen.start.get("asked")))
    return store, chosen.start


def _by_content(suite: str, found: Callable[[str | None], Found]) -> Found:
    """Return what is found of a suite by the content of its file, or by its name where there is no file."""
    from bench.runner.suite import load_suite
    from bench.store.identity import suite_content
    from bench.suite_files import suite_path

    try:
        suite_path(suite)
    except SpecError as unknown:
        # The file may be gone since the run; its name is enough where a run has it.
        try:
            return found(None)
        except PrerequisiteError:
            raise unknown from None
    return found(suite_content(load_suite(suite)))


def about(results: Results) -> str:
    """Return which run results are of, when it started, and how much of its suite it asked for."""
    return _about(results.run, results.started, results.asked)


def _about(run: str, started: str, asked: Mapping[str, Any] | None) -> str:
    from bench.report.formatting import date
    from bench.store.chosen import asked_in_words

    return f"run {run}, {date(started)}: {asked_in_words(asked)}"

"""What a run left, for the commands that read it; which run that is, is said on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import PrerequisiteError, SpecError

if TYPE_CHECKING:
    from bench.store.results import Results


def stored(suite: str, results: Path, run: str | None = None) -> Results:
    """Return what a run of a suite left: of the one named, else of the last that was started.

    Raises:
        SpecError: there is no such suite and no run of that name, or no such run.
        PrerequisiteError: no run of the suite as its file is now is in the folder.
    """
    from bench.cli.display import say
    from bench.runner.suite import load_suite
    from bench.store.identity import suite_content
    from bench.store.results import load_results
    from bench.suite_files import suite_path

    try:
        suite_path(suite)
    except SpecError as unknown:
        # The file may be gone since the run; its name is enough where a run has it.
        try:
            found = load_results(results, suite, run=run)
        except PrerequisiteError:
            raise unknown from None
    else:
        found = load_results(results, suite, suite_content(load_suite(suite)), run)
    for line in found.notes:
        say(line)
    say(about(found))
    return found


def about(results: Results) -> str:
    """Return which run results are of, when it started, and how much of its suite it asked for."""
    from bench.report.formatting import date
    from bench.store.chosen import asked_in_words

    return f"run {results.run}, {date(results.started)}: {asked_in_words(results.asked)}"

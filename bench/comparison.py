"""Two runs compared in the Python API: `bench.compare`, and which runs of two folders are meant."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bench.errors import PrerequisiteError, SpecError
from bench.measure.compared_runs import Comparison, compare_runs
from bench.runner.suite import load_suite
from bench.store.identity import suite_content
from bench.store.results import Results, load_results
from bench.store.runlog import runs
from bench.store.store import Store, open_store
from bench.suite_files import run_command, suite_name, suite_path


def compare(
    a: str | os.PathLike[str], b: str | os.PathLike[str], suite: str | None = None
) -> Comparison:
    """Return the last runs of a suite in two folders compared, as `bench compare` does.

    Args:
        a: the folder of results to compare with.
        b: the folder of those that may be better or worse.
        suite: a name or a path to a suite file; None for the only suite that both folders have runs of.

    Raises:
        SpecError: there is no such suite, or not just one that both folders have; or the runs have no cell
            or no image in common.
        PrerequisiteError: a folder has no results, no run of the suite, or no finished cell of it.
    """
    return compare_runs(*last_runs(Path(a), Path(b), suite))


def last_runs(a: Path, b: Path, suite: str | None = None) -> tuple[Results, Results]:
    """Return what the last runs of a suite in two folders left.

    As in `bench report` that is the last run of the suite as its file is now. Where a folder has none it is
    the last run of a suite of that name, since a suite may change with the version that is compared.

    Args:
        a: a folder of results.
        b: another.
        suite: a name or a path to a suite file; None for the only suite that both folders have runs of.

    Raises:
        SpecError: there is no such suite, or not just one that both folders have.
        PrerequisiteError: a folder has no results, or no run of the suite.
    """
    first, second = open_store(a, create=False), open_store(b, create=False)
    named = suite or _only_suite(first, second)
    return _last_run(first, named), _last_run(second, named)


def _only_suite(a: Store, b: Store) -> str:
    """Return the name of the only suite that two folders have runs of."""
    in_a, in_b = (sorted({str(start["suite"]) for start in runs(store)}) for store in (a, b))
    both = [name for name in in_a if name in in_b]
    if len(both) == 1:
        return both[0]
    if both:
        raise SpecError(
            f"{a.root} and {b.root} both have runs of {', '.join(both)}; choose with --suite NAME"
        )
    raise SpecError(
        f"no suite has runs in both folders: {a.root} has {', '.join(in_a) or 'none'}, {b.root} has "
        f"{', '.join(in_b) or 'none'}"
    )


def _last_run(store: Store, suite: str) -> Results:
    content = _content(suite)
    if content is not None:
        with contextlib.suppress(PrerequisiteError):  # no run of the suite as it is now
            return load_results(store.root, suite, content)
    name = suite_name(Path(suite))
    last = next((start["run"] for start in runs(store) if start["suite"] == name), None)
    if last is None:
        suite_path(suite)  # a suite that is not known is the better reason
        raise PrerequisiteError(
            f"no run of suite {suite!r} in {store.root}; make one with: {run_command(suite, store.root)}"
        )
    return load_results(store.root, suite, content, last)


def _content(suite: str) -> str | None:
    """Return the content of a suite as its file is now; None where there is no file any more."""
    try:
        suite_path(suite)
    except SpecError:
        return None
    return suite_content(load_suite(suite))

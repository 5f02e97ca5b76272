"""Which run a report is about, and what that run asked for of its suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import PrerequisiteError, SpecError
from bench.store.runlog import runs
from bench.store.store import Store, open_store
from bench.suite_files import run_command, suite_name


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run: the first line of its log, and notes on why it was chosen."""

    start: dict[str, Any]
    notes: tuple[str, ...] = ()


def chosen_in(
    root: str | Path, suite: str, content: str | None = None, run: str | None = None
) -> tuple[Store, Chosen]:
    """Return a results folder and the run of a suite in it, as `choose_run` does.

    Raises:
        SpecError: there is no such run, or it is of another suite.
        PrerequisiteError: the folder has no run of the suite.
        StoreError: the folder has another schema.
    """
    if not (Path(root) / "store.json").exists():
        raise PrerequisiteError(
            f"no run of suite {suite!r} in {root}; make one with: {run_command(suite, Path(root))}"
        )
    store = open_store(root, create=False)
    return store, choose_run(store, suite, content, run)


def choose_run(
    store: Store, suite: str, content: str | None = None, run: str | None = None
) -> Chosen:
    """Return the named run, else the most recently started run of a suite.

    Args:
        store: holds the log.
        suite: a name, or a path ending in `.toml`.
        content: of the suite's file as it is now, see `suite_content`; None if there is no file, so that
            the suite is identified only by its name.
        run: the run's name, or the start of it; None for the last run.

    Raises:
        SpecError: no run or several match, or the run is of another suite.
        PrerequisiteError: there is no run of the suite.
    """
    return _last(store, suite, content) if run is None else _named(store, suite, content, run)


def _named(store: Store, suite: str, content: str | None, run: str) -> Chosen:
    named = [start for start in runs(store) if start["run"].startswith(run)]
    if len(named) != 1:
        state = f"{len(named)} runs match" if named else "no run matches"
        raise SpecError(
            f"--run {run}: {state} in {store.root}; bench ls runs --results {store.root} lists them"
        )
    (start,) = named
    name, held = suite_name(Path(suite)), start.get("content")
    if start["suite"] != name and (held is None or held != content):
        raise SpecError(f"--run {run}: {start['run']} is a run of {start['suite']}, not of {name}")
    if content is not None and held is not None and held != content:
        return Chosen(start, (f"{suite} has changed since {start['run']} was run",))
    return Chosen(start)


def _last(store: Store, suite: str, content: str | None) -> Chosen:
    """Return the last run of a suite with this content; in older logs, which lack it, with this name."""
    name = suite_name(Path(suite))
    newest_namesake: dict[str, Any] | None = None
    for start in runs(store):
        held = start.get("content")
        unsaid = content is None or held is None
        if start["suite"] == name if unsaid else held == content:
            return Chosen(start, tuple(_doubts(start, suite, content, newest_namesake)))
        if start["suite"] == name:
            newest_namesake = newest_namesake or start
    if newest_namesake is None:
        raise PrerequisiteError(
            f"no run of suite {name!r} in {store.root}; make one with: {run_command(suite, store.root)}"
        )
    raise PrerequisiteError(
        f"no run of {suite} in its present form in {store.root}: {newest_namesake['run']}, the last run of "
        f"that name, is of a suite with other content; make one with: {run_command(suite, store.root)}"
    )


def _doubts(
    start: Mapping[str, Any],
    suite: str,
    content: str | None,
    newest_namesake: Mapping[str, Any] | None,
) -> list[str]:
    doubts = []
    if newest_namesake is not None:
        doubts.append(
            f"{newest_namesake['run']}, the last run of that name, is of a suite with other content; "
            f"{start['run']} is the last run of {suite} in its present form"
        )
    if content is None:
        doubts.append(f"there is no suite {suite}: {start['run']} is the last run of that name")
    elif "content" not in start:
        doubts.append(
            f"{start['run']} was made by an older version, whose logs do not record the content of "
            "the suite: it was found by the suite's name"
        )
    return doubts


def asked_in_words(request: Mapping[str, Any] | None) -> str:
    """Return how much of its suite a run asked for, such as `3 of 19 attacks, 20 of 200 images`.

    Args:
        request: as `bench.runner.requested` records it; None in logs of older versions.
    """
    if request is None:
        return "how much of the suite it asked for was not recorded"
    models, attacks = request["models"], request["attacks"]
    parts = [
        _share(models, "model"),
        _share(attacks, "attack"),
        _either(_share(pair, "image") for pair in request["images"]),
    ]
    if request["joined"]:
        parts[0] += f" and {_counted(request['joined'], 'model')} that it does not list"
    if request["added"]:
        parts[1] += f" and {request['added']} that it does not have"
    if request["seed"] is not None:
        parts.append(f"seed {request['seed']}")
    if request["toolkits"]:
        parts.append(
            f"{_counted(len(request['toolkits']), 'toolkit')} ({', '.join(request['toolkits'])})"
        )
    return f"{'the whole suite' if is_whole(request) else 'part of the suite'}: {', '.join(parts)}"


def _either(shares: Iterable[str]) -> str:
    """Return shares of one thing with its name once: `8 or 100 images`."""
    *others, last = dict.fromkeys(shares)
    return " or ".join([*(share.rpartition(" ")[0] for share in others), last])


def is_whole(request: Mapping[str, Any] | None) -> bool:
    """Return whether a run is known to have asked for its whole suite."""
    if request is None or request["toolkits"] or is_altered(request):
        return False
    pairs: Sequence[Sequence[int]] = [request["models"], request["attacks"], *request["images"]]
    return all(count >= of for count, of in pairs)


def asks_for_as_much(request: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Return whether a run is known to have asked for all that another run of the same suite asked for.

    By number: of two runs of as many models, or attacks, each is taken to have asked for those of the other.
    Images and seed do not count.
    """
    if request is None or other is None:
        return False
    counts = (
        (request["models"][0], other["models"][0]), (request["attacks"][0], other["attacks"][0]),
        (request["joined"], other["joined"]), (request["added"], other["added"]),
    )  # fmt: skip
    toolkits, wanted = set(request["toolkits"]), set(other["toolkits"])
    in_toolkits = not toolkits or (bool(wanted) and wanted <= toolkits)
    return in_toolkits and all(count >= of for count, of in counts)


def is_altered(request: Mapping[str, Any]) -> bool:
    """Return whether a run asked for something else than its suite: other attacks, or another seed."""
    return bool(request["added"]) or request["seed"] is not None


def _share(pair: Sequence[int], noun: str) -> str:
    count, of = pair
    return _counted(count, noun) if count >= of else f"{count} of {_counted(of, noun)}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"

"""Which run a report is about, and what that run asked for of its suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import PrerequisiteError, SpecError
from bench.store.runlog import runs
from bench.store.store import Store
from bench.suite_files import suite_name


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run: the first line of its log, and what has to be said of the choice, a line each."""

    start: dict[str, Any]
    notes: tuple[str, ...] = ()


def choose_run(
    store: Store, suite: str, content: str | None = None, run: str | None = None
) -> Chosen:
    """Return the run named, else the last started one of a suite.

    Args:
        store: where its log is.
        suite: a name, or a path ending in `.toml`.
        content: of the suite's file as it is now, see `suite_content`; None where there is no file,
            and the suite is known by its name alone.
        run: what the run is called, or how that begins; None for the last.

    Raises:
        SpecError: no run or several are called so, or the run is of another suite.
        PrerequisiteError: there is no run of the suite.
    """
    return _last(store, suite, content) if run is None else _named(store, suite, content, run)


def _named(store: Store, suite: str, content: str | None, run: str) -> Chosen:
    named = [start for start in runs(store) if start["run"].startswith(run)]
    if len(named) != 1:
        state = f"{len(named)} runs begin" if named else "no run begins"
        raise SpecError(
            f"--run {run}: {state} so in {store.root}; bench ls runs --results {store.root} lists them"
        )
    (start,) = named
    name, held = suite_name(Path(suite)), start.get("content")
    if start["suite"] != name and (held is None or held != content):
        raise SpecError(f"--run {run}: {start['run']} is a run of {start['suite']}, not of {name}")
    if content is not None and held is not None and held != content:
        return Chosen(start, (f"{suite} says other things now than when {start['run']} was run",))
    return Chosen(start)


def _last(store: Store, suite: str, content: str | None) -> Chosen:
    """Return the last run of a suite's content; of older logs, which do not say it, of its name."""
    name = suite_name(Path(suite))
    other: dict[str, Any] | None = None
    for start in runs(store):
        held = start.get("content")
        unsaid = content is None or held is None
        if start["suite"] == name if unsaid else held == content:
            return Chosen(start, tuple(_doubts(start, suite, content, other)))
        if start["suite"] == name:
            other = other or start
    if other is None:
        raise PrerequisiteError(
            f"no run of suite {name!r} in {store.root}; make one with: bench run --suite {suite}"
        )
    raise PrerequisiteError(
        f"no run of {suite} as it is now in {store.root}: {other['run']}, the last of that name, is "
        f"of a suite that says other things; make one with: bench run --suite {suite}"
    )


def _doubts(
    start: Mapping[str, Any], suite: str, content: str | None, other: Mapping[str, Any] | None
) -> list[str]:
    doubts = []
    if other is not None:
        doubts.append(
            f"{other['run']}, the last run of that name, is of a suite that says other things; "
            f"{start['run']} is the last of {suite} as it is now"
        )
    if content is None:
        doubts.append(f"there is no suite {suite}: {start['run']} is the last run of that name")
    elif "content" not in start:
        doubts.append(
            f"{start['run']} was made by an older version, whose logs do not hold what the suite "
            "said: it is known by the suite's name alone"
        )
    return doubts


def asked_in_words(asked: Mapping[str, Any] | None) -> str:
    """Return what a run asked for of its suite: `3 of 19 attacks, 20 of 200 images; models 1 of 2`.

    Args:
        asked: as `bench.runner.requested` records it; None in logs of older versions.
    """
    if asked is None:
        return "what it asked for of the suite was not recorded"
    models, attacks = asked["models"], asked["attacks"]
    parts = [
        _share(models, "model"),
        _share(attacks, "attack"),
        " or ".join(dict.fromkeys(_share(pair, "image") for pair in asked["images"])),
    ]
    if asked["joined"]:
        parts[0] += f" and {_counted(asked['joined'], 'model')} of a plug-in"
    if asked["added"]:
        parts[1] += f" and {asked['added']} that it does not have"
    if asked["seed"] is not None:
        parts.append(f"seed {asked['seed']}")
    if asked["toolkits"]:
        parts.append(
            f"{_counted(len(asked['toolkits']), 'toolkit')} ({', '.join(asked['toolkits'])})"
        )
    return f"{'the whole suite' if is_whole(asked) else 'part of the suite'}: {', '.join(parts)}"


def is_whole(asked: Mapping[str, Any] | None) -> bool:
    """Return whether a run is known to have asked for all that its suite says."""
    if asked is None or asked["toolkits"] or is_altered(asked):
        return False
    pairs: Sequence[Sequence[int]] = [asked["models"], asked["attacks"], *asked["images"]]
    return all(count >= of for count, of in pairs)


def is_altered(asked: Mapping[str, Any]) -> bool:
    """Return whether a run asked for what its suite does not say: other attacks, or another seed."""
    return bool(asked["added"]) or asked["seed"] is not None


def _share(pair: Sequence[int], noun: str) -> str:
    count, of = pair
    return _counted(count, noun) if count >= of else f"{count} of {_counted(of, noun)}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"

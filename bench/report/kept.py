"""Which run the files of a report are of, so that a smaller run does not take the place of a fuller one.

Beside a report `NAME.pdf` lies `NAME.json`, which says of each format what run it is of, how much that
run asked for, and which files there are.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bench.store.chosen import asked_in_words, is_altered, is_whole
from bench.store.files import atomic_write, write_together
from bench.store.results import Results

#: How the files are called that a report without a record may have.
_ENDINGS = {"pdf": ".pdf", "csv": "-headline.csv", "latex": "-headline.tex"}
_ELSEWHERE = "--out DIR"
_UNKNOWN: dict[str, Any] = {"run": "one of an older version", "content": None, "asked": None}


def fuller(results: Results, out: Path, formats: Collection[str]) -> str | None:
    """Return in words which report in a folder asks for more than a run; None where none does.

    Of one suite, that is the report of a run whose cells ask about more images together, or, beside a run
    with other attacks or another seed than the suite's, of one with its own. A run of a
    whole suite is never less than a report of another suite of its name, nor than one of which it is
    not known what it asked for.

    Args:
        results: of the run.
        out: the folder.
        formats: that are to be written.
    """
    kept = _read(out, results.suite)
    for name in formats:
        there = kept.get(name)
        if there is None and (out / f"{results.suite}{_ENDINGS[name]}").is_file():
            there = _UNKNOWN
        if there is not None and _asks_more(there, results):
            asked = asked_in_words(there["asked"])
            return f"{out / results.suite}.* is of a fuller run ({there['run']}: {asked})"
    return None


def replaced(results: Results, out: Path, formats: Collection[str]) -> str | None:
    """Return in words whose report a run's takes the place of, where that is of another suite of its name.

    Args:
        results: of the run.
        out: the folder.
        formats: that are to be written.
    """
    kept = _read(out, results.suite)
    for there in (kept[name] for name in formats if name in kept):
        if there["content"] not in (None, results.content):
            return (
                f"{out / results.suite}.* was of another suite of this name, or of this one before it was changed "
                f"({there['run']}), and is written over"
            )
    return None


def _asks_more(there: Mapping[str, Any], results: Results) -> bool:
    asked = results.asked
    if there["run"] == results.run:
        return False
    if is_whole(asked) and (there["asked"] is None or there["content"] != results.content):
        return False
    if asked is None or there["asked"] is None:
        return True
    if is_altered(asked) != is_altered(there["asked"]):
        return is_altered(asked)
    more: bool = there["asked"]["answers"] > asked["answers"]
    return more


def put_in_place(results: Results, out: Path, made: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write the files of a report in the place of an earlier one, and record what run they are of.

    The earlier one stays as it is where there is no room for this one. The record names the files of both until those
    that are left over are removed, so that a report after a killed one knows of them.

    Args:
        results: of the run.
        out: the folder.
        made: the content of each file by format; files of a format that an earlier report had and
            this one lacks are removed, since they would be read as its own.

    Raises:
        StoreError: the folder cannot be written.
    """
    path, earlier = _path(out, results.suite), _read(out, results.suite)
    left_over = {
        name: set(earlier.get(name, {}).get("files", ())) - set(files)
        for name, files in made.items()
    }
    files = {out / file: content for part in made.values() for file, content in part.items()}
    for_both = _record(results, earlier, {name: {*made[name], *left_over[name]} for name in made})
    write_together({path: for_both, **files}, _ELSEWHERE)
    if not any(left_over.values()):
        return
    for file in set().union(*left_over.values()):
        with contextlib.suppress(OSError):  # gone already, or not ours to remove
            (out / Path(file).name).unlink()
    atomic_write(path, _record(results, earlier, made), _ELSEWHERE)


def _record(
    results: Results, earlier: Mapping[str, Any], files: Mapping[str, Collection[str]]
) -> bytes:
    """Return the record of a report, which keeps what an earlier one says of other formats."""
    run = {
        "run": results.run,
        "started": results.started,
        "content": results.content,
        "asked": results.asked,
    }
    written = {name: {**run, "files": sorted(names)} for name, names in files.items()}
    made = {"suite": results.suite, "formats": {**earlier, **written}}
    return (json.dumps(made, indent=1) + "\n").encode()


def _path(out: Path, suite: str) -> Path:
    return out / f"{suite}.json"


def _read(out: Path, suite: str) -> dict[str, Any]:
    """Return the record of a report by format; empty where there is none that can be read."""
    try:
        found: dict[str, Any] = json.loads(_path(out, suite).read_bytes())["formats"]
        return {
            name: record
            for name, record in found.items()
            if record.keys() >= {"run", "content", "asked"}
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}

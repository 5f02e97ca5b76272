"""Putting results folders together: finished cells and findings of one are copied into another.

Keys say all that decides a cell's rows, so a cell that both folders have must have the same rows, but for the
seconds that they took.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.errors import StoreError
from bench.store.carry import RECORD, names_in
from bench.store.files import atomic_write
from bench.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of putting a results folder into another.

    Attributes:
        copied: how many cells were copied.
        same: how many both had, with the same rows.
        conflicts: cells that both had with other rows, and in words how they differ; those of the folder that
            was added to are kept.
        unfinished: how many cells the other folder had only begun.
    """

    copied: int
    same: int
    conflicts: dict[str, str]
    unfinished: int


def merge(store: Store, other: Store) -> Merged:
    """Copy the finished cells and the findings of another results folder.

    A cell takes its place with its record, which is written last, so that a kill leaves none that is half there.

    Args:
        store: the folder that is added to.
        other: the folder that is read; it is left as it is.

    Raises:
        StoreError: a cell of the other folder is damaged, or the disk is full.
    """
    copied, same, unfinished = 0, 0, 0
    conflicts: dict[str, str] = {}
    for folder in sorted(other.root.glob("cells/*/*")):
        key = folder.name
        if not other.is_done(key):
            unfinished += 1
        elif not store.is_done(key):
            _copy(folder, store.folder(key))
            copied += 1
        elif (difference := _difference(store, other, key)) is None:
            same += 1
        else:
            conflicts[key] = difference
    for found in other.root.glob("findings/*/*.json"):
        there = store.root / found.relative_to(other.root)
        if not there.exists():
            atomic_write(there, found.read_bytes())
    return Merged(copied=copied, same=same, conflicts=conflicts, unfinished=unfinished)


def _copy(source: Path, target: Path) -> None:
    """Copy a finished cell. Its record is read first: if it is computed anew meanwhile, the parts of both are there."""
    record = (source / RECORD).read_bytes()
    for name in names_in(source):
        if not name.startswith("error-") and name != RECORD:
            atomic_write(target / name, (source / name).read_bytes())
    atomic_write(target / RECORD, record)


def _difference(store: Store, other: Store, key: str) -> str | None:
    """Return in words how the rows of a cell differ in two folders; None where they do not."""
    try:
        ours, theirs = store.rows(key), other.rows(key)
    except ValueError as error:
        raise StoreError(f"rows of cell {key} cannot be read: {error}") from error
    if len(ours) != len(theirs):
        return f"{len(ours)} rows and {len(theirs)}"
    columns = [
        str(name) for name in ours if name != "seconds" and not ours[name].equals(theirs[name])
    ]
    if not columns:
        return None
    rows = pd.concat([_unlike(ours[name], theirs[name]) for name in columns], axis=1).any(axis=1)
    return f"{int(rows.sum())} of {len(ours)} rows differ in {', '.join(columns)}"


def _unlike(left: pd.Series, right: pd.Series) -> pd.Series:
    """Return which values differ, where a missing one is like another missing one alone."""
    differ = left.ne(right).astype("boolean").fillna(value=False)
    return (differ & ~(left.isna() & right.isna())) | (left.isna() != right.isna())

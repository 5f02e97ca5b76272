"""Cells of a store that differ only in how many images they have: each can give its chunks to the others.

So that a cell which was never finished can give its chunks too, what it is lies in its folder before them,
in `begun.json`. Cells that older versions finished have it in `cell.json`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.store.files import atomic_write
from bench.store.fits import read_fit, read_perturbation
from bench.store.frames import to_pandas
from bench.store.identity import sibling_key
from bench.store.parts import Arrays, read_arrays, read_part, sound_parts
from bench.store.store import Store, to_json

if TYPE_CHECKING:
    import torch

_BEGUN, _FINISHED = "begun.json", "cell.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sibling:
    """A cell that a store has rows of.

    Attributes:
        key: of the cell.
        images: `data`, `split`, `count` (None for all of the split) and `checksum` of its image set.
        finished: whether it is recorded as done.
    """

    key: str
    images: Mapping[str, Any]
    finished: bool


def begin(store: Store, key: str, identity: Mapping[str, Any]) -> None:
    """Write what a cell is into its folder, before its first rows.

    Raises:
        StoreError: the disk is full.
    """
    path = store.folder(key) / _BEGUN
    if not path.exists():
        atomic_write(path, to_json({"identity": identity}))


def find_siblings(store: Store, wanted: Collection[str]) -> dict[str, list[Sibling]]:
    """Return the cells of a store, finished or begun, by `sibling_key`, those with most images first.

    Args:
        store: the results folder.
        wanted: the sibling keys of which cells are looked for.
    """
    found: dict[str, list[Sibling]] = {}
    for folder in store.root.glob("cells/*/*") if wanted else ():
        named = _identity(folder)
        if named is not None and (shared := sibling_key(named)) in wanted:
            finished = (folder / _FINISHED).exists()
            found.setdefault(shared, []).append(Sibling(folder.name, named["images"], finished))
    return {shared: sorted(cells, key=_most_images_first) for shared, cells in found.items()}


def _identity(folder: Path) -> dict[str, Any] | None:
    """Return what the cell in a folder is; None where that is not known."""
    for name in (_BEGUN, _FINISHED):
        try:
            identity: dict[str, Any] = json.loads((folder / name).read_bytes())["identity"]
            if {"data", "split", "count", "checksum"} <= identity["images"].keys():
                return identity
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # missing, damaged, or of a version that had none
    return None


def _most_images_first(sibling: Sibling) -> tuple[float, str]:
    count = sibling.images["count"]
    return float("-inf") if count is None else -count, sibling.key


def chunks_of(
    store: Store, key: str, wanted: Collection[tuple[int, int]]
) -> dict[int, dict[str, Any]]:
    """Return intact parts of a cell by start, see `sound_parts`; of a finished one those that it names.

    Args:
        store: the results folder.
        key: of the cell.
        wanted: start and stop of the chunks that are looked for.
    """
    record = _record(store, key)
    if record is None:
        parts = sound_parts(store.folder(key))
        return {start: part for start, part in parts.items() if (start, part["stop"]) in wanted}
    named = [part for part in record["parts"] if (part["start"], part["stop"]) in wanted]
    return sound_parts(store.folder(key), {part["file"] for part in named}) if named else {}


def copy_chunk(store: Store, giver: str, part: Mapping[str, Any], key: str) -> bool:
    """Write the rows, pictures and trace of a part of a cell as a chunk of another.

    Args:
        store: the results folder.
        giver: key of the cell that the part is of.
        part: one of `chunks_of`.
        key: of the cell that gets them.

    Returns:
        Whether they were written; not where a file of the giver is damaged.

    Raises:
        StoreError: the disk is full.
    """
    folder = store.folder(giver)
    try:
        rows = to_pandas([read_part(folder, part)]).assign(cell=key)
        arrays = Arrays(read_arrays(folder, part, "pictures"), read_arrays(folder, part, "trace"))
    except StoreError as error:
        _log.warning("%s", error)
        return False
    store.write_chunk(key, part["start"], part["stop"], rows, arrays, part["made"])
    return True


def perturbation_of(store: Store, key: str) -> tuple[torch.Tensor, dict[str, Any]] | None:
    """Return the perturbation (C, H, W) that the rows of a cell were made with, and its record.

    None without an intact one.
    """
    folder, record = store.folder(key), _record(store, key)
    if record is None:
        return read_fit(folder)
    try:
        return None if record.get("fit") is None else (
            read_perturbation(folder, record["fit"]), record["fit"]
        )  # fmt: skip
    except StoreError:
        return None


def _record(store: Store, key: str) -> dict[str, Any] | None:
    """Return the record of a finished cell; None if it is not finished or its record is damaged."""
    try:
        return store.record(key)
    except StoreError:
        return None

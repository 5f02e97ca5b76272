"""The crash-safe store of results: content-addressed, append-only, without locks.

    store.json                                      the schema number of the folder
    cells/ab/<key>/begun.json                       what the cell is (`bench.store.siblings`)
    cells/ab/<key>/arrays/00000-00015-<sha8>.safetensors   pictures or trace of a chunk, written first
    cells/ab/<key>/parts/00000-00199-<sha8>.parquet        rows of a chunk; names both
    cells/ab/<key>/rows-<sha8>.parquet              rows of many parts, read in their place; can be made again
    cells/ab/<key>/cell.json                        written last: which parts make up the cell
    cells/ab/<key>/error-<n>.json                   a failed attempt; never blocks another
    runs/<number>-<rand>.jsonl                      which run asked for which cells (`bench.store.runlog`)

Every file is written whole or not at all, and a part is never changed. Two processes may compute
the same cell: their parts have different names, and each `cell.json` names exactly its own.
"""

from __future__ import annotations

import glob
import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from bench.errors import PrerequisiteError, SpecError, StoreError
from bench.store.files import atomic_write, check_folder
from bench.store.fits import check_perturbation
from bench.store.frames import to_pandas
from bench.store.parts import (
    MEND,
    Arrays,
    check_part,
    join_parts,
    read_arrays,
    read_joined,
    read_part,
    sound_parts,
    write_part,
)
from bench.store.traces import trace_table

if TYPE_CHECKING:
    import torch

#: The number of the folder's layout, increased when the layout or the meaning of a column changes.
SCHEMA = 3

_MARKER = "store.json"
_ERROR = re.compile(r"error-(\d+)\.json")
_KEEPSAKES = ("README", "samples")  # what may lie in a results folder before its first run

_log = logging.getLogger(__name__)


def now() -> str:
    """Return this moment in UTC, as ISO 8601 text to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def to_json(value: Mapping[str, Any]) -> bytes:
    """Return the bytes of a small JSON file made to be read by people too."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def open_store(root: str | Path, *, create: bool = True) -> Store:
    """Return the store in a folder, which is created if there is none.

    Args:
        root: the results folder.
        create: whether to create a store; False for readers.

    Raises:
        StoreError: the folder holds other things, or was written by another version.
        PrerequisiteError: there is no store and `create` is False, or it cannot be written.
    """
    root = Path(root)
    marker = root / _MARKER
    if not marker.exists():
        if not create:
            raise PrerequisiteError(f"no results in {root}; make some with: bench run --suite NAME")
        _refuse_foreign(root)
        check_folder(root, "results")
        # Not O_EXCL on the final name: a kill between creating and filling the file would leave it
        # empty. Two processes that race here write the same content.
        atomic_write(marker, to_json({"schema": SCHEMA, "created": now()}))
    try:
        schema = json.loads(marker.read_bytes())["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{marker} cannot be read ({error}); put it back from a copy, or name another folder "
            f"with --results DIR"
        ) from error
    if schema != SCHEMA:
        raise StoreError(
            f"{root} holds results of schema {schema}, this version of bench reads and writes "
            f"schema {SCHEMA}; name another folder with --results DIR, or use the version that "
            f"wrote it"
        )
    return Store(root)


def _refuse_foreign(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise StoreError(f"{root} is a file; name a folder with --results DIR")
    names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    foreign = [name for name in names if not name.startswith((".", *_KEEPSAKES))]
    # Looked for only now: another process may have made a store of the folder a moment ago.
    if foreign and not (root / _MARKER).exists():
        raise StoreError(
            f"{root} is not a results folder (it holds {', '.join(foreign[:3])}); name a new or an "
            f"empty one with --results DIR"
        )


class Store:
    """A results folder; made by `open_store`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # What this process wrote, by cell and start: with --overwrite always these rows count, not
        # those of an earlier run beside them.
        self._written: dict[str, dict[int, dict[str, Any]]] = {}
        # Cells that this process has seen to be whole: to read all of them takes long, and is asked for often.
        self._whole: set[str] = set()

    def folder(self, key: str) -> Path:
        """Return the folder of a cell, whether or not it exists."""
        return self.root / "cells" / key[:2] / key

    def is_done(self, key: str) -> bool:
        """Return whether a cell is finished: recorded, with all its rows present and undamaged.

        A cell is read once; what happens to its files later is noticed when its rows are read.
        """
        if key in self._whole:
            return True
        folder = self.folder(key)
        try:
            record = self.record(key)
            if record is None:
                return False
            for part in record["parts"]:
                check_part(folder, part)
            check_perturbation(folder, record.get("fit"))
        except StoreError as error:
            _log.warning("%s", error)
            return False
        self._whole.add(key)
        return True

    def done_chunks(self, key: str) -> set[int]:
        """Return the starts of the chunks whose rows and arrays are safely written."""
        return set(sound_parts(self.folder(key)))

    def write_chunk(
        self,
        key: str,
        start: int,
        stop: int,
        rows: pd.DataFrame,
        arrays: Arrays,
        maker: dict[str, Any] | None = None,
    ) -> None:
        """Write the rows of the images `start` to `stop` (not included), and what is kept beside them.

        Args:
            key: of the cell.
            start: position of the first image in the cell's image set.
            stop: position after the last image.
            rows: `stop - start` rows with `spec.COLUMNS`.
            arrays: pictures and trace that are kept beside the rows.
            maker: versions and device that made the rows, as plain JSON values.

        Raises:
            StoreError: the rows break their schema, or the disk is full.
        """
        if len(rows) != stop - start or not (rows["cell"] == key).all():
            raise StoreError(f"chunk {start} to {stop} of cell {key} came with rows of another")
        part = write_part(self.folder(key), start, rows, arrays, maker)
        self._written.setdefault(key, {})[start] = part | {"made": maker}

    def finish(self, key: str, record: Mapping[str, Any]) -> None:
        """Record a cell as done, replacing an earlier record.

        Args:
            key: of the cell.
            record: facts of the cell: identity, title, versions, host, times. The store adds `schema,
                cell, status, rows, pictures` (how many), `finished`, `parts`, `made` (everything that
                made parts, each once, since another process may have started the cell) and, of many parts,
                `joined`. If `rows` is given, the cell must have that many.

        Raises:
            StoreError: chunks are missing between the first row and the last, or the disk is full.
        """
        sound = sound_parts(self.folder(key)) | self._written.get(key, {})
        parts: list[dict[str, Any]] = []
        rows = 0
        while rows in sound:
            parts.append(sound[rows])
            rows = sound[rows]["stop"]
        wanted = record.get("rows", max([1, *(part["stop"] for part in sound.values())]))
        if rows != wanted:
            raise StoreError(
                f"cell {key} has {rows} rows without a gap where {wanted} are wanted; run the same "
                f"command again"
            )
        makers: list[Any] = []
        for part in parts:
            maker = part.pop("made")
            if maker not in makers:
                makers.append(maker)
        finished = {
            "schema": SCHEMA,
            "cell": key,
            "status": "done",
            "rows": rows,
            "pictures": sum(part["pictures"]["images"] for part in parts if part["pictures"]),
            "finished": now(),
            "made": makers,
            "parts": parts,
        }
        joined = join_parts(self.folder(key), parts)
        if joined is not None:
            finished["joined"] = joined
        atomic_write(self.folder(key) / "cell.json", to_json({**record, **finished}))
        self._written.pop(key, None)
        self._whole.discard(key)

    def fail(self, key: str, error: BaseException) -> None:
        """Record why a cell failed; the cell stays open for another attempt.

        Raises:
            StoreError: the disk is full.
        """
        attempt = max(self._attempts(key), default=0) + 1
        about = {
            "attempt": attempt,
            "type": type(error).__name__,
            "message": str(error),
            "traceback": "".join(traceback.format_exception(error)),
            "time": now(),
        }
        atomic_write(self.folder(key) / f"error-{attempt}.json", to_json(about))

    def find(self, prefix: str) -> str:
        """Return the key of the only cell, finished or failed, whose key starts with a prefix.

        Raises:
            SpecError: no cell has this prefix, or several have.
        """
        keys = sorted(path.name for path in self.root.glob(f"cells/*/{glob.escape(prefix)}*"))
        if len(keys) != 1:
            state = f"{len(keys)} cells begin" if keys else "no cell begins"
            raise SpecError(
                f"{state} with {prefix!r} in {self.root}; bench run --dry-run prints the keys"
            )
        return keys[0]

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the record of a finished cell; None if it is not finished.

        Raises:
            StoreError: the record is damaged.
        """
        return self._read_json(self.folder(key) / "cell.json")

    def last_error(self, key: str) -> dict[str, Any] | None:
        """Return the last failed attempt: `type`, `message`, `traceback`, `time`; None if there is none.

        Raises:
            StoreError: the file is damaged.
        """
        if not (attempts := self._attempts(key)):
            return None
        return self._read_json(self.folder(key) / f"error-{max(attempts)}.json")

    def rows(self, key: str) -> pd.DataFrame:
        """Return the rows of a finished cell: `spec.COLUMNS`, one row per image, in file order.

        Raises:
            StoreError: the cell is not finished, or a part is missing or damaged.
        """
        return to_pandas(self.tables(key))

    def tables(self, key: str, record: Mapping[str, Any] | None = None) -> list[Any]:
        """Return the rows of a finished cell as pyarrow tables for `bench.store.frames`.

        Args:
            key: of the cell.
            record: of the cell, if it is at hand.

        Raises:
            StoreError: as in `rows`.
        """
        folder, record = self.folder(key), self._finished(key) if record is None else record
        joined = record.get("joined")
        rows = None if joined is None else read_joined(folder, joined)
        if rows is not None:
            return [rows]
        return [read_part(folder, part) for part in record["parts"]]

    def pictures(self, key: str) -> dict[str, torch.Tensor]:
        """Return the pictures kept for a finished cell; an empty dict if none were kept.

        Returns:
            `index` int64 (k,), `x` and `x_adv` float32 (k, C, H, W), in file order.

        Raises:
            StoreError: the cell is not finished, or a file is missing or damaged.
        """
        import torch

        kept = self._arrays(key, "pictures")
        if not kept:
            return {}
        return {name: torch.cat([pictures[name] for pictures in kept]) for name in kept[0]}

    def trace(self, key: str) -> pd.DataFrame | None:
        """Return the trace of a finished cell, see `bench.store.traces`; None without one.

        Raises:
            StoreError: the cell is not finished, or a file is missing or damaged.
        """
        return trace_table(self._arrays(key, "trace"))

    def _arrays(
        self, key: str, name: Literal["pictures", "trace"]
    ) -> list[dict[str, torch.Tensor]]:
        folder, parts = self.folder(key), self._finished(key)["parts"]
        read = (read_arrays(folder, part, name) for part in parts)
        return [arrays for arrays in read if arrays]

    def _finished(self, key: str) -> dict[str, Any]:
        record = self.record(key)
        if record is None:
            raise StoreError(f"cell {key} is not finished; {MEND} missing")
        return record

    def _attempts(self, key: str) -> list[int]:
        folder = self.folder(key)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return [int(named[1]) for named in map(_ERROR.fullmatch, names) if named]

    def _read_json(self, path: Path) -> dict[str, Any] | None:
        try:
            read: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged ({error}); {MEND} missing") from error
        return read

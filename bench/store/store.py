"""The crash-safe store of results: content-addressed, append-only, without locks.

    store.json                                      the schema of the folder
    cells/ab/<key>/arrays/00000-00015-<sha8>.safetensors   pictures of a chunk, written first
    cells/ab/<key>/parts/00000-00199-<sha8>.parquet        rows of a chunk; names its pictures
    cells/ab/<key>/cell.json                        written last: which parts make up the cell
    cells/ab/<key>/error-<n>.json                   a failed attempt; never blocks another
    runs/<turn>-<rand>.jsonl                        who asked for which cells (`bench.store.runlog`)

Every file is written whole or not at all, and a part is never changed. Two processes may compute
the same cell: their parts have different names, and each `cell.json` names exactly its own.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import re
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import PrerequisiteError, SpecError, StoreError
from bench.store import columns
from bench.store.files import TEMPORARY, atomic_write, check_folder
from bench.store.fits import check_perturbation

if TYPE_CHECKING:
    import torch

#: The layout of the folder; another number means another Crossfire wrote it.
SCHEMA = 3

_PART = re.compile(r"(\d{5,})-(\d{5,})-([0-9a-f]{8})\.parquet")
_ERROR = re.compile(r"error-(\d+)\.json")
_KEEPSAKES = ("README", "samples")  # what may lie in a results folder before its first run
_DAY = 24 * 3600
_MEND = "make it again with: bench run --suite NAME --overwrite"

_log = logging.getLogger(__name__)


def now() -> str:
    """Return this moment in UTC, as ISO 8601 text to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def to_json(value: Mapping[str, Any]) -> bytes:
    """Return the bytes of a small JSON file made to be read by people too."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def open_store(root: str | Path, *, create: bool = True) -> Store:
    """Return the store in a folder, making it where there is none.

    Args:
        root: the results folder.
        create: whether to make a store; False for those who only read.

    Raises:
        StoreError: the folder holds other things, or was written by another version.
        PrerequisiteError: there is no store and none is to be made, or it cannot be written.
    """
    root = Path(root)
    marker = root / "store.json"
    if not marker.exists():
        if not create:
            raise PrerequisiteError(f"no results in {root}; make some with: bench run --suite NAME")
        _refuse_foreign(root)
        check_folder(root, "results")
        # Not O_EXCL on the name itself: a kill between making and filling it would leave an empty
        # file. Two processes that race here write the same thing.
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
    found = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    foreign = [name for name in found if not name.startswith((".", *_KEEPSAKES))]
    if foreign:
        raise StoreError(
            f"{root} is not a results folder (it holds {', '.join(foreign[:3])}); name a new or an "
            f"empty one with --results DIR"
        )


class Store:
    """A results folder; made by `open_store`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # What this process wrote, by cell and start: with --overwrite always the new rows count,
        # not those of an earlier run that lie beside them.
        self._written: dict[str, dict[int, dict[str, Any]]] = {}

    def folder(self, key: str) -> Path:
        """Return the folder of a cell, whether or not it is there."""
        return self.root / "cells" / key[:2] / key

    def is_done(self, key: str) -> bool:
        """Return whether a cell is whole: recorded, all its rows there and undamaged."""
        try:
            record = self.record(key)
            if record is None:
                return False
            for part in record["parts"]:
                self._read_part(key, part)
                self._find_pictures(key, part)
            check_perturbation(self.folder(key), record.get("fit"))
        except StoreError as error:
            _log.warning("%s", error)
            return False
        return True

    def done_chunks(self, key: str) -> set[int]:
        """Return where the chunks begin whose rows and pictures are safely written."""
        return set(self._sound_parts(key))

    def write_chunk(
        self,
        key: str,
        start: int,
        stop: int,
        rows: pd.DataFrame,
        pictures: Mapping[str, torch.Tensor] | None,
        made: dict[str, Any] | None = None,
    ) -> None:
        """Write the rows of the images `start` to `stop` (not included), and their pictures.

        Args:
            key: of the cell.
            start: position of the first image in the cell's image set.
            stop: position after the last image.
            rows: `stop - start` rows with `spec.COLUMNS`.
            pictures: `index` int64 (k,), `x` and `x_adv` float32 (k, C, H, W); None to keep none.
            made: what the rows were made by, as plain JSON values.

        Raises:
            StoreError: the rows break their schema, or the disk is full.
        """
        if len(rows) != stop - start or not (rows["cell"] == key).all():
            raise StoreError(f"chunk {start} to {stop} of cell {key} came with rows of another")
        span = f"{start:05d}-{stop - 1:05d}"
        kept = self._write_pictures(key, span, pictures) if pictures else None
        data = columns.encode(rows, kept, made)
        part = _part(f"{span}-{_sha256(data)[:8]}.parquet", start, stop, data, kept)
        atomic_write(self.folder(key) / "parts" / part["file"], data)
        self._written.setdefault(key, {})[start] = part | {"made": made}

    def _write_pictures(
        self, key: str, span: str, pictures: Mapping[str, torch.Tensor]
    ) -> dict[str, Any]:
        from safetensors.torch import save

        data = save({name: value.detach().cpu().contiguous() for name, value in pictures.items()})
        sha256 = _sha256(data)
        name = f"{span}-{sha256[:8]}.safetensors"
        atomic_write(self.folder(key) / "arrays" / name, data)
        images = len(pictures["index"])
        return {"file": name, "images": images, "bytes": len(data), "sha256": sha256}

    def finish(self, key: str, record: Mapping[str, Any]) -> None:
        """Record a cell as done, over an earlier record if there is one.

        Args:
            key: of the cell.
            record: what to say of it: identity, title, versions, host, times; the store adds `schema,
                cell, status, rows, pictures` (how many), `finished`, `parts` and `made` (what made
                them, each once: a cell may have been begun by another process). A `rows` that is
                given is how many the cell must have.

        Raises:
            StoreError: chunks are missing between the first row and the last, or the disk is full.
        """
        sound = self._sound_parts(key) | self._written.get(key, {})
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
        by: list[Any] = []
        for part in parts:
            one = part.pop("made")
            if one not in by:
                by.append(one)
        made = {
            "schema": SCHEMA,
            "cell": key,
            "status": "done",
            "rows": rows,
            "pictures": sum(part["pictures"]["images"] for part in parts if part["pictures"]),
            "finished": now(),
            "made": by,
            "parts": parts,
        }
        atomic_write(self.folder(key) / "cell.json", to_json({**record, **made}))
        self._written.pop(key, None)

    def fail(self, key: str, error: BaseException) -> None:
        """Keep why a cell failed; the cell stays open for another attempt.

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
        """Return the key of the one cell, finished or failed, that begins with a text.

        Raises:
            SpecError: no cell begins so, or several do.
        """
        found = sorted(path.name for path in self.root.glob(f"cells/*/{glob.escape(prefix)}*"))
        if len(found) != 1:
            state = f"{len(found)} cells begin" if found else "no cell begins"
            raise SpecError(
                f"{state} with {prefix!r} in {self.root}; bench run --dry-run prints the keys"
            )
        return found[0]

    def record(self, key: str) -> dict[str, Any] | None:
        """Return what is recorded of a finished cell; None where it is not finished.

        Raises:
            StoreError: the record is damaged.
        """
        return self._read_json(self.folder(key) / "cell.json")

    def last_error(self, key: str) -> dict[str, Any] | None:
        """Return the last failed attempt: `type`, `message`, `traceback`, `time`; None without.

        Raises:
            StoreError: the file is damaged.
        """
        if not (attempts := self._attempts(key)):
            return None
        return self._read_json(self.folder(key) / f"error-{max(attempts)}.json")

    def rows(self, key: str) -> pd.DataFrame:
        """Return the rows of a finished cell: `spec.COLUMNS`, an image a row, in file order.

        Raises:
            StoreError: the cell is not finished, or a part is missing or damaged.
        """
        return columns.to_pandas(self.tables(key))

    def tables(self, key: str) -> list[Any]:
        """Return the rows of a finished cell as pyarrow tables, one a chunk, cheap to join.

        Raises:
            StoreError: as `rows`.
        """
        return [self._read_part(key, part) for part in self._finished(key)["parts"]]

    def pictures(self, key: str) -> dict[str, torch.Tensor]:
        """Return the pictures kept of a finished cell; an empty dict where none were kept.

        Returns:
            `index` int64 (k,), `x` and `x_adv` float32 (k, C, H, W), in file order.

        Raises:
            StoreError: the cell is not finished, or a file is missing or damaged.
        """
        import torch
        from safetensors.torch import load

        loaded = []
        for part in self._finished(key)["parts"]:
            path = self._find_pictures(key, part)
            if path is None:
                continue
            data = path.read_bytes()
            if _sha256(data) != part["pictures"]["sha256"]:
                raise StoreError(f"{path} is damaged; {_MEND} always")
            loaded.append(load(data))
        return (
            {name: torch.cat([one[name] for one in loaded]) for name in loaded[0]} if loaded else {}
        )

    def sweep(self) -> int:
        """Remove what killed writers left, where it is older than a day; return how many files.

        Younger ones may belong to a process that is still writing.
        """
        old = time.time() - _DAY
        removed = 0
        for path in self.root.rglob(f"{TEMPORARY}*"):
            with contextlib.suppress(OSError):  # another process sweeps too, or finished just now
                if path.stat().st_mtime < old:
                    path.unlink()
                    removed += 1
        return removed

    def _finished(self, key: str) -> dict[str, Any]:
        record = self.record(key)
        if record is None:
            raise StoreError(f"cell {key} is not finished; {_MEND} missing")
        return record

    def _attempts(self, key: str) -> list[int]:
        folder = self.folder(key)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return [int(found[1]) for found in map(_ERROR.fullmatch, names) if found]

    def _read_json(self, path: Path) -> dict[str, Any] | None:
        try:
            read: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged ({error}); {_MEND} missing") from error
        return read

    def _read_part(self, key: str, part: Mapping[str, Any]) -> Any:
        path = self.folder(key) / "parts" / part["file"]
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise StoreError(f"{path} is missing; {_MEND} missing") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error.strerror})") from error
        if _sha256(data) != part["sha256"]:
            raise StoreError(f"{path} is damaged; {_MEND} missing")
        return columns.decode(data)[0]

    def _find_pictures(self, key: str, part: Mapping[str, Any]) -> Path | None:
        kept = part["pictures"]
        if kept is None:
            return None
        path = self.folder(key) / "arrays" / str(kept["file"])
        if not path.is_file() or path.stat().st_size != kept["bytes"]:
            raise StoreError(f"{path} is missing or damaged; {_MEND} missing")
        return path

    def _sound_parts(self, key: str) -> dict[int, dict[str, Any]]:
        """Return the parts that can be relied on, by start; the first by name where two are."""
        folder = self.folder(key) / "parts"
        sound: dict[int, dict[str, Any]] = {}
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            named = _PART.fullmatch(path.name)
            if named is None or int(named[1]) in sound:
                continue
            start, stop = int(named[1]), int(named[2]) + 1
            try:
                data = path.read_bytes()
                table, kept = columns.decode(data)
                part = _part(path.name, start, stop, data, kept)
                self._find_pictures(key, part)
            except (OSError, ValueError, StoreError) as error:
                _log.warning("%s is not used: %s", path, error)
                continue
            if _sha256(data)[:8] == named[3] and table.num_rows == stop - start:
                sound[start] = part | {"made": columns.made_by(data)}
        return sound


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _part(
    name: str, start: int, stop: int, data: bytes, pictures: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "file": name,
        "start": start,
        "stop": stop,
        "bytes": len(data),
        "sha256": _sha256(data),
        "pictures": pictures,
    }

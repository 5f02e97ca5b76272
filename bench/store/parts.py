"""The parts of a cell: a file with the rows of a chunk, which names those with its pictures and its trace.

Each file name contains the first and last image of the chunk and a digest of the content.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from bench.errors import StoreError
from bench.store import columns
from bench.store.files import atomic_write

if TYPE_CHECKING:
    import torch

#: How to repair a damaged cell; `missing` or `always` follows.
MEND = "make it again with: bench run --suite NAME --overwrite"

_PART = re.compile(r"(\d{5,})-(\d{5,})-([0-9a-f]{8})\.parquet")

#: From how many parts on a finished cell has a file with all its rows too.
_MANY = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrays:
    """What is kept of a chunk beside its rows.

    Attributes:
        pictures: `index` int64 (k,), `x` and `x_adv` float32 (k, C, H, W); None to keep none.
        trace: `index` int64 (k,) and `values` float32 (k, most steps + 1), NaN after an image's last
            step, see `bench.store.traces`; None for attacks that keep none.
    """

    pictures: Mapping[str, torch.Tensor] | None = None
    trace: Mapping[str, torch.Tensor] | None = None


def write_part(
    folder: Path,
    start: int,
    rows: pd.DataFrame,
    arrays: Arrays,
    maker: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write the rows and arrays of a chunk into the folder of a cell; return its entry for the record.

    Args:
        folder: of the cell.
        start: position of the first image in the cell's image set.
        rows: one per image, with `spec.COLUMNS`.
        arrays: what is kept beside the rows.
        maker: versions and device that made the rows, as plain JSON values.

    Returns:
        `file, start, stop, bytes, sha256` and `pictures` (`file, images, bytes, sha256`, or None), and
        `trace`, likewise, if there is one.

    Raises:
        StoreError: the rows break their schema, or the disk is full.
    """
    stop = start + len(rows)
    span = f"{start:05d}-{stop - 1:05d}"
    kept = _write_arrays(folder, span, arrays.pictures) if arrays.pictures else None
    trace = _write_arrays(folder, span, arrays.trace) if arrays.trace else None
    data = columns.encode(rows, kept, maker, trace)
    part = _described(f"{span}-{_sha256(data)[:8]}.parquet", (start, stop), data, kept, trace)
    atomic_write(folder / "parts" / part["file"], data)
    return part


def _write_arrays(folder: Path, span: str, arrays: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    from safetensors.torch import save

    data = save({name: value.detach().cpu().contiguous() for name, value in arrays.items()})
    sha256 = _sha256(data)
    name = f"{span}-{sha256[:8]}.safetensors"
    atomic_write(folder / "arrays" / name, data)
    images = len(arrays["index"])
    return {"file": name, "images": images, "bytes": len(data), "sha256": sha256}


def read_part(folder: Path, part: Mapping[str, Any]) -> Any:
    """Return the rows of a part as a pyarrow table.

    Raises:
        StoreError: the file is missing or damaged.
    """
    return columns.decode_rows(_read(folder, part))


def join_parts(folder: Path, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Write the rows of many parts into one file, which is read far sooner; return `file, bytes, sha256` of it.

    None of few parts. The parts stay: others take them over one by one, and the file can be made from them again.

    Raises:
        StoreError: a part is missing or damaged, or the disk is full.
    """
    if len(parts) < _MANY:
        return None
    data = columns.joined([read_part(folder, part) for part in parts])
    sha256 = _sha256(data)
    name = f"rows-{sha256[:8]}.parquet"
    atomic_write(folder / name, data)
    return {"file": name, "bytes": len(data), "sha256": sha256}


def read_joined(folder: Path, joined: Mapping[str, Any]) -> Any:
    """Return the rows of a file of `join_parts` as a pyarrow table; None where it is missing or damaged."""
    try:
        data = (folder / str(joined["file"])).read_bytes()
    except OSError:
        return None
    return columns.decode_rows(data) if _sha256(data) == joined["sha256"] else None


def _read(folder: Path, part: Mapping[str, Any]) -> bytes:
    """Return the bytes of a part, which are those that were written."""
    path = folder / "parts" / str(part["file"])
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing; {MEND} missing") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror})") from error
    if _sha256(data) != part["sha256"]:
        raise StoreError(f"{path} is damaged; {MEND} missing")
    return data


def check_part(folder: Path, part: Mapping[str, Any]) -> None:
    """Raise unless the bytes of a part are those that were written, and its arrays are there in their full size.

    The rows are not decoded, which takes much longer.

    Raises:
        StoreError: a file is missing or damaged.
    """
    _read(folder, part)
    check_arrays(folder, part)


def check_arrays(folder: Path, part: Mapping[str, Any]) -> None:
    """Raise unless the files that a part names are there in their full size.

    Raises:
        StoreError: one is missing, or has the wrong size.
    """
    for name in ("pictures", "trace"):
        _find_arrays(folder, part, name)


def _find_arrays(folder: Path, part: Mapping[str, Any], name: str) -> Path | None:
    kept = part.get(name)
    if kept is None:
        return None
    path = folder / "arrays" / str(kept["file"])
    if not path.is_file() or path.stat().st_size != kept["bytes"]:
        raise StoreError(f"{path} is missing or damaged; {MEND} missing")
    return path


def read_arrays(
    folder: Path, part: Mapping[str, Any], name: Literal["pictures", "trace"]
) -> dict[str, torch.Tensor] | None:
    """Return the pictures or the trace of a part, as in `Arrays`; None if none were kept.

    Raises:
        StoreError: the file is missing or damaged.
    """
    from safetensors.torch import load

    path = _find_arrays(folder, part, name)
    if path is None:
        return None
    data = path.read_bytes()
    if _sha256(data) != part[name]["sha256"]:
        raise StoreError(f"{path} is damaged; {MEND} always")
    return load(data)


def sound_parts(
    folder: Path, named_files: Collection[str] | None = None
) -> dict[int, dict[str, Any]]:
    """Return the intact parts of a cell by start; if two have the same start, the first by name.

    Each is as returned by `write_part`, with `made`, what made the rows.

    Args:
        folder: of the cell.
        named_files: the names of the files that count; None for all.
    """
    parts = folder / "parts"
    sound: dict[int, dict[str, Any]] = {}
    for path in sorted(parts.iterdir()) if parts.is_dir() else []:
        named = _PART.fullmatch(path.name)
        if named is None or int(named[1]) in sound:
            continue
        if named_files is not None and path.name not in named_files:
            continue
        start, stop = int(named[1]), int(named[2]) + 1
        try:
            data = path.read_bytes()
            table, kept = columns.decode(data)
            part = _described(path.name, (start, stop), data, kept, columns.trace_of(data))
            check_arrays(folder, part)
        except (OSError, ValueError, StoreError) as error:
            _log.warning("%s is not used: %s", path, error)
            continue
        if _sha256(data)[:8] == named[3] and table.num_rows == stop - start:
            sound[start] = part | {"made": columns.made_by(data)}
    return sound


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _described(
    name: str,
    span: tuple[int, int],
    data: bytes,
    pictures: dict[str, Any] | None,
    trace: dict[str, Any] | None,
) -> dict[str, Any]:
    part = {
        "file": name,
        "start": span[0],
        "stop": span[1],
        "bytes": len(data),
        "sha256": _sha256(data),
        "pictures": pictures,
    }
    return part if trace is None else part | {"trace": trace}

"""The parts of a cell: a file with the rows of a chunk, which names another one with its pictures.

Each file name contains the first and last image of the chunk and a digest of the content.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import StoreError
from bench.store import columns
from bench.store.files import atomic_write

if TYPE_CHECKING:
    import torch

#: How to repair a damaged cell; `missing` or `always` follows.
MEND = "make it again with: bench run --suite NAME --overwrite"

_PART = re.compile(r"(\d{5,})-(\d{5,})-([0-9a-f]{8})\.parquet")

_log = logging.getLogger(__name__)


def write_part(
    folder: Path,
    start: int,
    rows: pd.DataFrame,
    pictures: Mapping[str, torch.Tensor] | None,
    maker: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write the rows and pictures of a chunk into the folder of a cell; return its entry for the record.

    Args:
        folder: of the cell.
        start: position of the first image in the cell's image set.
        rows: one per image, with `spec.COLUMNS`.
        pictures: `index` int64 (k,), `x` and `x_adv` float32 (k, C, H, W); None to keep none.
        maker: versions and device that made the rows, as plain JSON values.

    Returns:
        `file, start, stop, bytes, sha256` and `pictures` (`file, images, bytes, sha256`, or None).

    Raises:
        StoreError: the rows break their schema, or the disk is full.
    """
    stop = start + len(rows)
    span = f"{start:05d}-{stop - 1:05d}"
    kept = _write_pictures(folder, span, pictures) if pictures else None
    data = columns.encode(rows, kept, maker)
    part = _described(f"{span}-{_sha256(data)[:8]}.parquet", (start, stop), data, kept)
    atomic_write(folder / "parts" / part["file"], data)
    return part


def _write_pictures(
    folder: Path, span: str, pictures: Mapping[str, torch.Tensor]
) -> dict[str, Any]:
    from safetensors.torch import save

    data = save({name: value.detach().cpu().contiguous() for name, value in pictures.items()})
    sha256 = _sha256(data)
    name = f"{span}-{sha256[:8]}.safetensors"
    atomic_write(folder / "arrays" / name, data)
    images = len(pictures["index"])
    return {"file": name, "images": images, "bytes": len(data), "sha256": sha256}


def read_part(folder: Path, part: Mapping[str, Any]) -> Any:
    """Return the rows of a part as a pyarrow table.

    Raises:
        StoreError: the file is missing or damaged.
    """
    path = folder / "parts" / part["file"]
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing; {MEND} missing") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror})") from error
    if _sha256(data) != part["sha256"]:
        raise StoreError(f"{path} is damaged; {MEND} missing")
    return columns.decode(data)[0]


def find_pictures(folder: Path, part: Mapping[str, Any]) -> Path | None:
    """Return the file of a part's pictures; None if none were kept.

    Raises:
        StoreError: the file is missing, or has the wrong size.
    """
    kept = part["pictures"]
    if kept is None:
        return None
    path = folder / "arrays" / str(kept["file"])
    if not path.is_file() or path.stat().st_size != kept["bytes"]:
        raise StoreError(f"{path} is missing or damaged; {MEND} missing")
    return path


def read_pictures(folder: Path, part: Mapping[str, Any]) -> dict[str, torch.Tensor] | None:
    """Return the pictures of a part; None if none were kept.

    Raises:
        StoreError: the file is missing or damaged.
    """
    from safetensors.torch import load

    path = find_pictures(folder, part)
    if path is None:
        return None
    data = path.read_bytes()
    if _sha256(data) != part["pictures"]["sha256"]:
        raise StoreError(f"{path} is damaged; {MEND} always")
    return load(data)


def sound_parts(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the intact parts of a cell by start; if two have the same start, the first by name.

    Each is as returned by `write_part`, with `made`, what made the rows.
    """
    parts = folder / "parts"
    sound: dict[int, dict[str, Any]] = {}
    for path in sorted(parts.iterdir()) if parts.is_dir() else []:
        named = _PART.fullmatch(path.name)
        if named is None or int(named[1]) in sound:
            continue
        start, stop = int(named[1]), int(named[2]) + 1
        try:
            data = path.read_bytes()
            table, kept = columns.decode(data)
            part = _described(path.name, (start, stop), data, kept)
            find_pictures(folder, part)
        except (OSError, ValueError, StoreError) as error:
            _log.warning("%s is not used: %s", path, error)
            continue
        if _sha256(data)[:8] == named[3] and table.num_rows == stop - start:
            sound[start] = part | {"made": columns.made_by(data)}
    return sound


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _described(
    name: str, span: tuple[int, int], data: bytes, pictures: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "file": name,
        "start": span[0],
        "stop": span[1],
        "bytes": len(data),
        "sha256": _sha256(data),
        "pictures": pictures,
    }

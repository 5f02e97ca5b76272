"""The files of a cell, carried from one results folder to another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from bench.store.files import TEMPORARY, atomic_write

#: The file that says that a cell is finished.
RECORD = "cell.json"


def names_in(folder: Path) -> list[str]:
    """Return the files of a cell's folder, as paths in it, in the order in which they have to be written.

    The record, which says that the cell is finished, comes last.
    """
    found = [path for path in folder.rglob("*") if not path.name.startswith(TEMPORARY)]
    names = sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())
    return sorted(names, key=lambda name: name == RECORD)


def files_in(folder: Path, sent: Collection[str] = ()) -> dict[str, bytes]:
    """Return the files of a cell's folder by name, in the order of `names_in`.

    Args:
        folder: of the cell; it need not be there.
        sent: the names of files that are left out.
    """
    return {name: (folder / name).read_bytes() for name in names_in(folder) if name not in sent}


def put_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a cell's folder, in their order; a kill leaves none that is half there.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    for name, content in files.items():
        atomic_write(folder / name, content)

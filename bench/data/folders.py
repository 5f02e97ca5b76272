"""Any folder of class folders as a data set: `folder:PATH`, or `folder:PATH?size=64&seed=1`.

PATH is as a shell would take it, relative to where the command runs. Its folders are the classes, in the
order of their names; the photographs in them, at any depth, are the images. Imports no torch until images
are read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.address import DataAddress
from bench.data.splits import stratified
from bench.data.table import Dataset
from bench.errors import PrerequisiteError, SpecError

if TYPE_CHECKING:
    from bench.data.labelled import LabelledLater

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")

#: The parts of every class in each split: those of `flowers17`.
_SHARES = {"train": 5, "validation": 1, "test": 2}

#: A photograph is too small if it would have to be enlarged by more than this.
_ENLARGED = 4

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with its settings.

    Attributes:
        path: absolute.
        size: side of the square images, in pixels.
        seed: of the shuffle behind the splits.
    """

    path: Path
    size: int = 224
    seed: int = 0

    @classmethod
    def read(cls, name: str) -> Folder:
        """Return the folder at an address.

        Raises:
            SpecError: it does not have the form above.
        """
        address = DataAddress.read(name)
        given = {setting: int(value) for setting, value in address.settings.items()}
        return cls(Path(address.place).expanduser().absolute(), **given)


def facts(name: str) -> Dataset:
    """Return the facts of a folder as a data set.

    Raises:
        SpecError: a name of another form, or a folder without classes or with an empty class.
        PrerequisiteError: there is no such folder.
    """
    folder = Folder.read(name)
    splits = _drawn(folder)
    return Dataset(
        name, (3, folder.size, folder.size), tuple(class_files(folder.path)),
        {split: len(images) for split, images in splits.items()}, None,
        f"photographs in {folder.path}", folder.path.name,
    )  # fmt: skip


def files(name: str, split: str) -> list[str]:
    """Return the files of a split, relative to the folder."""
    return [file for file, _ in _drawn(Folder.read(name))[split]]


def images(name: str, split: str) -> LabelledLater:
    """Return a split of a folder. Files are only looked at here; images are read when they are asked for.

    Raises:
        SpecError: as in `facts`.
        PrerequisiteError: files that are no photographs, or too small.
    """
    import torch

    from bench.data.labelled import LabelledLater, SquareFiles

    folder = Folder.read(name)
    drawn = _drawn(folder)[split]
    paths = [folder.path / file for file, _ in drawn]
    _check(name, paths, folder)
    return LabelledLater(
        SquareFiles(paths, folder.size), torch.tensor([label for _, label in drawn])
    )


@cache
def _drawn(folder: Folder) -> dict[str, list[tuple[str, int]]]:
    """Return the files of each split with their labels."""
    return stratified(list(class_files(folder.path).values()), _SHARES, folder.seed)


@cache
def class_files(folder: Path) -> dict[str, list[str]]:
    """Return the files of each class, relative to the folder, both sorted by name.

    Raises:
        SpecError: a folder without classes or with an empty class.
        PrerequisiteError: there is no such folder.
    """
    if not folder.is_dir():
        raise PrerequisiteError(f"{folder} is no folder; name one with a folder for each class")
    classes = sorted(
        entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != "."
    )
    if len(classes) < 2:
        raise SpecError(
            f"{folder} has {len(classes)} class folders; put the photographs of each class into a folder of "
            f"its own there"
        )
    files = {name: _of_class(folder, name) for name in classes}
    empty = [name for name, of_class in files.items() if not of_class]
    if empty:
        raise SpecError(
            f"{folder}: no photographs in {_listed(empty)}; put some there, or remove the folder"
        )
    return files


def _of_class(folder: Path, name: str) -> list[str]:
    return sorted(
        file.relative_to(folder).as_posix()
        for file in (folder / name).rglob("*")
        if file.suffix.lower() in _ENDINGS and file.name[0] != "."
    )


def _check(name: str, files: list[Path], folder: Folder) -> None:
    """Raise one line that names the files that are no photographs, or too small, by their first bytes."""
    faults = [
        f"{file.relative_to(folder.path)} ({fault})"
        for file in files
        if (fault := _fault(file, folder.size))
    ]
    if faults:
        raise PrerequisiteError(
            f"{name}: {len(faults)} of {len(files)} files cannot be used: {_listed(faults)}; remove them, "
            f"or ask for smaller images with ?size=N"
        )


def _fault(file: Path, size: int) -> str | None:
    from PIL import Image

    from bench.data.squares import DAMAGE

    try:
        with Image.open(file) as opened:
            width, height = opened.size
    except DAMAGE:
        return "cannot be read as an image"
    if min(width, height) * _ENLARGED < size:
        return f"{width}x{height}, too small for {size}x{size}"
    return None


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")

"""Any folder of class folders as a data set: `folder:PATH`, or `folder:PATH?size=64&seed=1`.

PATH is as a shell would take it, relative to where the command runs. Its folders are the classes, in the
order of their names; the photographs in them, at any depth, are the images. Imports no torch until images
are read.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.splits import stratified
from bench.data.table import FOLDER, Dataset
from bench.errors import PrerequisiteError, SpecError

if TYPE_CHECKING:
    from bench.data.labelled import LabelledFiles

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")

#: The parts of every class in each split: those of `flowers17`.
_SHARES = {"train": 5, "validation": 1, "test": 2}

#: A photograph is too small if it would have to be enlarged by more than this.
_ENLARGED = 4

_SETTING = re.compile(r"(size|seed)=([0-9]{1,9})", re.ASCII)
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Address:
    """A folder with its settings.

    Attributes:
        size: side of the square images, in pixels.
        seed: of the shuffle behind the splits.
    """

    folder: Path
    size: int = 224
    seed: int = 0

    @classmethod
    def read(cls, name: str) -> Address:
        """Return the parts of a name.

        Raises:
            SpecError: it does not have the form above.
        """
        path, _, settings = name.removeprefix(FOLDER).partition("?")
        given: dict[str, int] = {}
        for setting in filter(None, settings.split("&")):
            match = _SETTING.fullmatch(setting)
            if match is None or match[1] in given or (match[1] == "size" and int(match[2]) < 1):
                raise SpecError(
                    f"{name}: {setting!r} is no setting of a folder; write folder:PATH?size=64&seed=1"
                )
            given[match[1]] = int(match[2])
        if not path:
            raise SpecError(f"{name}: name the folder: folder:PATH")
        return cls(Path(path).expanduser().absolute(), **given)


def folder_facts(name: str) -> Dataset:
    """Return the facts of a folder as a data set.

    Raises:
        SpecError: a name of another form, no such folder, or one without classes or with an empty class.
    """
    address = Address.read(name)
    files = _files(address.folder)
    drawn = stratified(list(files.values()), _SHARES, address.seed)
    return Dataset(
        name, (3, address.size, address.size), tuple(files),
        {split: len(images) for split, images in drawn.items()}, None,
        f"photographs in {address.folder}", address.folder.name,
    )  # fmt: skip


def folder_images(name: str, split: str) -> LabelledFiles:
    """Return a split of a folder. Files are only looked at here; images are read when they are asked for.

    Raises:
        SpecError: as in `folder_facts`.
        PrerequisiteError: files that are no photographs, or too small.
    """
    import torch

    from bench.data.labelled import LabelledFiles

    address = Address.read(name)
    drawn = stratified(list(_files(address.folder).values()), _SHARES, address.seed)[split]
    files = [address.folder / file for file, _ in drawn]
    _check(name, files, address)
    return LabelledFiles(files, torch.tensor([label for _, label in drawn]), address.size)


@cache
def _files(folder: Path) -> dict[str, list[str]]:
    """Return the files of each class, relative to the folder, both sorted by name."""
    if not folder.is_dir():
        raise SpecError(f"{folder} is no folder; name one with a folder for each class")
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


def _check(name: str, files: list[Path], address: Address) -> None:
    """Raise one line that names the files that are no photographs, or too small, by their first bytes."""
    faults = [
        f"{file.relative_to(address.folder)} ({fault})"
        for file in files
        if (fault := _fault(file, address.size))
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

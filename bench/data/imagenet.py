"""The validation images of ImageNet: `imagenet:PATH`, in folders called `n01440764` and so on.

They are the split `test`, class by class in the order of the folders' names, which is that of the labels. An
image is scaled (bilinear) until its shorter side is 256/224 of its size, and the square in its middle is kept: of
224 pixels, RobustBench's `Resize(256)` and `CenterCrop(224)`. The first images of a suite are all of one class,
unless it has `order = "balanced"`. Models of `natural` classify them where they have 224 pixels. RobustBench's 5,000
images are `images = "imagenet_test_image_ids.txt"` in a suite, with RobustBench's own list of their names.
Imports no torch until images are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.address import DataAddress
from bench.data.folders import class_files
from bench.data.table import DATASETS, Dataset
from bench.errors import SpecError

if TYPE_CHECKING:
    import torch

    from bench.data.labelled import LabelledLater

_NATURAL = DATASETS["natural"]
_SYNSET = re.compile(r"n[0-9]{8}", re.ASCII)
_SIDE = _NATURAL.input_shape[-1]


def facts(name: str) -> Dataset:
    """Return the facts of the validation images in a folder.

    Raises:
        SpecError: an address of another form, or a folder without the 1,000 class folders.
    """
    folder, side = _read(name)
    return Dataset(
        name, (3, side, side), _NATURAL.classes, {"test": len(_files(folder))}, None,
        f"validation images of ImageNet in {folder}", "ImageNet", _NATURAL.means,
        models_of=_NATURAL.name if side == _SIDE else "",
    )  # fmt: skip


def files(name: str, split: str) -> list[str]:
    """Return the files of the images, such as `n01440764/ILSVRC2012_val_00000293.JPEG`."""
    return [file for file, _ in _files(_read(name)[0])]


def images(name: str, split: str) -> LabelledLater:
    """Return the images, which are read when they are asked for.

    Raises:
        SpecError: as in `facts`.
    """
    import torch

    from bench.data.labelled import LabelledLater

    folder, side = _read(name)
    found = _files(folder)
    paths = [folder / file for file, _ in found]
    return LabelledLater(Photographs(paths, side), torch.tensor([label for _, label in found]))


@dataclass(frozen=True, slots=True)
class Photographs:
    """Files of photographs, each scaled (bilinear) and cut as in `bench.data.photographs.read_photograph`."""

    files: list[Path]
    side: int

    @property
    def title(self) -> str:
        return f"photographs {self.side} bilinear"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, self.side, self.side)

    def read(self, place: int) -> torch.Tensor:
        from PIL.Image import Resampling

        from bench.data.photographs import read_photograph

        return read_photograph(self.files[place], self.side, Resampling.BILINEAR)

    def content(self, place: int) -> bytes:
        return self.files[place].read_bytes()


def _read(name: str) -> tuple[Path, int]:
    address = DataAddress.read(name)
    return Path(address.place).expanduser().absolute(), int(address.settings.get("size", _SIDE))


@cache
def _files(folder: Path) -> list[tuple[str, int]]:
    """Return the files of all classes, each with its label."""
    if (folder / "val").is_dir():
        raise SpecError(f"imagenet: name the folder that has the class folders: {folder / 'val'}")
    by_class = class_files(folder)
    wrong = [name for name in by_class if not _SYNSET.fullmatch(name)]
    if wrong or len(by_class) != len(_NATURAL.classes):
        found = f"a folder {wrong[0]!r}" if wrong else f"{len(by_class)} class folders"
        raise SpecError(
            f"imagenet: {folder} has {found}; it needs the 1,000 of ImageNet, n01440764 to n15075141, and nothing else"
        )
    return [(file, label) for label, files in enumerate(by_class.values()) for file in files]

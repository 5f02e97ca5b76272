"""`npz:FILE`: images and labels in a file of numpy, as `numpy.savez(file, images=x, labels=y)` writes it.

They are the split `test`. `images` is uint8 with 255 for white, or float in [0, 1] (floats from 0 to 255 are divided by
255, and a line says so); (N, C, H, W), (N, H, W, C) or, in grey, (N, H, W). `labels` are whole numbers (N,). Their classes are called by an array `classes` of texts, or by
those of the data set that `?models=cifar10` names, whose models then classify these images; else they have numbers.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from bench.data.address import DataAddress
from bench.data.models_of import like
from bench.data.table import Dataset
from bench.errors import PrerequisiteError, SpecError

if TYPE_CHECKING:
    from bench.data.labelled import LabelledImages

_IMAGES, _LABELS, _CLASSES = "images", "labels", "classes"

#: What numpy raises where a file is damaged, or holds objects of Python, which are not read.
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile)


def facts(name: str) -> Dataset:
    """Return the facts of the images in a file; of the images themselves only type and shape are read.

    Raises:
        SpecError: an address of another form, or arrays that hold no images and labels.
        PrerequisiteError: there is no such file, or it is damaged.
    """
    from bench.data.checked_arrays import check_labels, check_layout

    file, models = _read(name)
    dtype, shape = _header(name, file)
    labels = _array(name, file, _LABELS)
    input_shape = check_layout(name, dtype, shape)
    check_labels(name, labels, shape[0], None)
    named = tuple(_classes(name, file))
    found = like(name, models, input_shape, named) if models else named
    classes = found or tuple(map(str, range(int(labels.max()) + 1)))
    check_labels(name, labels, shape[0], len(classes))
    return Dataset(
        name, input_shape, classes, {"test": shape[0]}, None, f"images in {file}", file.stem, models_of=models,
    )  # fmt: skip


def images(name: str, split: str) -> LabelledImages:
    """Return the images and labels in a file.

    Raises:
        SpecError: as in `facts`, or values outside of [0, 1].
        PrerequisiteError: the file is missing or damaged.
    """
    from bench.data.checked_arrays import labelled

    file, _ = _read(name)
    pixels, labels = _array(name, file, _IMAGES), _array(name, file, _LABELS)
    return labelled(name, pixels, labels, len(facts(name).classes))


def _classes(name: str, file: Path) -> list[str]:
    if _CLASSES not in _members(name, file):
        return []
    classes = _array(name, file, _CLASSES)
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise SpecError(f"{name}: its classes are {classes.dtype} {classes.shape}; give texts (C,)")
    return [str(text) for text in classes]


def _read(name: str) -> tuple[Path, str]:
    address = DataAddress.read(name)
    file = Path(address.place).expanduser().absolute()
    if not file.is_file():
        raise PrerequisiteError(
            f"{name}: no such file; write it with numpy.savez(file, images=x, labels=y)"
        )
    return file, address.settings.get("models", "")


def _members(name: str, file: Path) -> list[str]:
    """Return the names of the arrays in a file."""
    try:
        with zipfile.ZipFile(file) as members:
            return [member.removesuffix(".npy") for member in members.namelist()]
    except _DAMAGE as error:
        raise PrerequisiteError(
            f"{name} is no .npz file that can be read ({error}); write it again"
        ) from error


def _header(name: str, file: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return type and shape of the images, which are not read."""
    _check(name, file)
    try:
        with zipfile.ZipFile(file) as members, members.open(f"{_IMAGES}.npy") as opened:
            stream = cast("BinaryIO", opened)
            major, _ = np.lib.format.read_magic(stream)
            read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[major](stream)
    except _DAMAGE as error:
        raise PrerequisiteError(f"{name} is damaged ({error}); write it again") from error
    return dtype, shape


def _check(name: str, file: Path) -> None:
    members = _members(name, file)
    for wanted in (_IMAGES, _LABELS):
        if wanted not in members:
            raise SpecError(
                f"{name} has no array {wanted!r}, it has {', '.join(members) or 'none'}; write it with "
                f"numpy.savez(file, images=x, labels=y)"
            )


def _array(name: str, file: Path, wanted: str) -> NDArray[Any]:
    _check(name, file)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            array: NDArray[Any] = arrays[wanted]
    except _DAMAGE as error:
        raise PrerequisiteError(
            f"{name}: array {wanted!r} cannot be read ({error}); write it again"
        ) from error
    return array

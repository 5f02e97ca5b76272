"""Data sets of a user's own, registered in a `--plugin` file. Imports no torch until images are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from bench.data.models_of import like
from bench.data.table import DATASETS, Dataset
from bench.errors import DataError, SpecError
from bench.registry import Entry, Registry
from bench.users_functions import Owner

if TYPE_CHECKING:
    from bench.data.labelled import LabelledImages

#: The functions that read users' data sets, by name.
READERS = Registry("data set")

_OURS = frozenset(DATASETS)

Reader = TypeVar("Reader", bound=Callable[[str], Any])


def register_data(
    name: str,
    *,
    input_shape: Sequence[int],
    splits: Mapping[str, int],
    classes: Sequence[str] = (),
    models_of: str = "",
) -> Callable[[Reader], Reader]:
    """Return a decorator that registers a function which reads a data set.

    The function gets the name of a split and returns its images and labels: images uint8 with 255 for white, or
    float in [0, 1], as (N, C, H, W), (N, H, W, C) or (N, H, W); labels whole numbers (N,). It is called when images
    are needed, once a split.

    Args:
        name: the data set's name in suites, on the command line and in `bench.register_model`.
        input_shape: (C, H, W) of an image.
        splits: how many images each split has. Models are tried on `test`, or else on the last split.
        classes: names of the classes, in the order of the labels; left out where `models_of` has them.
        models_of: a data set whose models classify these images, too, such as `cifar10`.

    Raises:
        SpecError: a name that is taken or an address, or facts that do not fit together.
    """
    if name in _OURS:
        raise SpecError(f"data set {name!r} is one of Crossfire's own; choose another name")
    if not re.fullmatch(r"[\w.-]+", name):
        raise SpecError(
            f"{name!r} cannot be the name of a data set; use letters, digits, dots, dashes and underscores"
        )
    shape = _shape(name, input_shape)
    if not splits or not all(_is_count(images) for images in splits.values()):
        raise SpecError(
            f"data set {name!r}: splits are {dict(splits)}; say how many images each has: {{'test': 500}}"
        )
    names = like(f"data set {name!r}", models_of, shape, classes) if models_of else tuple(classes)
    if len(names) < 2:
        raise SpecError(f"data set {name!r} has {len(names)} classes; name two or more")

    def register(read: Reader) -> Reader:
        READERS.add(name, read)
        DATASETS.add(
            Dataset(name, shape, names, dict(splits), None, f"of {Entry(read, {}).origin()}", name,
                    models_of=models_of)
        )  # fmt: skip
        return read

    return register


def _shape(name: str, given: Sequence[int]) -> tuple[int, int, int]:
    if len(given) != 3 or not all(_is_count(length) for length in given):
        raise SpecError(f"data set {name!r}: input_shape is {given}; give (C, H, W)")
    channels, height, width = given
    return channels, height, width


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0


def users_images(name: str, split: str) -> LabelledImages:
    """Return a split of a user's data set, checked.

    Raises:
        DataError: its function fails, or returns something that is no such images and labels.
    """
    return _read_by(READERS[name].load(), name, split)


@cache  # of a function that is defined again, as in a notebook, anew
def _read_by(read: Callable[[str], Any], name: str, split: str) -> LabelledImages:
    from bench.data.checked_arrays import labelled

    known = DATASETS[name]
    origin = Entry(read, {}).origin()
    owner = Owner(title=f"data set {name!r}", origin=origin, error=DataError)
    with owner.blamed("function"):
        found = read(split)
    if not isinstance(found, tuple) or len(found) != 2:
        raise owner.refused("function", found, "a pair of images and labels")
    try:
        data = labelled(f"{name} {split}", *found, len(known.classes))
    except SpecError as error:
        raise DataError(str(error)) from error
    if data.shape() != tuple(known.input_shape) or len(data) != known.splits[split]:
        raise DataError(
            f"{name} {split}: its function returned {len(data)} images of shape {data.shape()}; it is registered with "
            f"{known.splits[split]} of {tuple(known.input_shape)}"
        )
    return data

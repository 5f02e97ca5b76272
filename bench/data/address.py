"""Addresses of data sets: `SCHEME:PLACE`, or `SCHEME:PLACE?NAME=VALUE&NAME=VALUE`. Imports no torch."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import SpecError

_SCHEME = re.compile(r"([a-z0-9-]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataScheme:
    """A kind of address.

    Attributes:
        form: how its addresses are written.
        module: has `facts(name)`, which returns a `bench.data.table.Dataset` without reading images, and
            `images(name, split)`, which returns `bench.data.labelled.LabelledImages`. Where images are files,
            `files(name, split)` returns their names, which lists of images may give.
        takes: the form of the value of each setting.
        note: what is there.
        package: what it needs beside Crossfire, which the extra of its name brings; empty for nothing.
    """

    form: str
    module: str
    takes: Mapping[str, str]
    note: str
    package: str = ""

    def code(self) -> ModuleType:
        """Return its module, imported at first use."""
        return importlib.import_module(self.module)


_NUMBER = r"[0-9]{1,9}"
_SIDE = r"[1-9][0-9]{0,4}"

DATA_SCHEMES: Mapping[str, DataScheme] = {
    "folder": DataScheme(
        form="folder:PATH?size=64&seed=1", module="bench.data.folders",
        takes={"size": _SIDE, "seed": _NUMBER}, note="a folder of class folders, split by the seed",
    ),
    "imagenet": DataScheme(
        form="imagenet:PATH?size=224", module="bench.data.imagenet", takes={"size": _SIDE},
        note="the validation images of ImageNet in 1,000 class folders",
    ),
    "cifar10-c": DataScheme(
        form="cifar10-c:PATH?corruption=fog&severity=3", module="bench.data.corruptions",
        takes={"corruption": r"[a-z_]+", "severity": r"[1-5]"},
        note="CIFAR-10-C: .npy files of corrupted test images; all of them, or of one corruption or severity",
    ),
    "npz": DataScheme(
        form="npz:FILE?models=cifar10", module="bench.data.arrays", takes={"models": r"\S+"},
        note="arrays `images` and `labels` in a file of numpy, for models of a data set or for your own",
    ),
    "hf-data": DataScheme(
        form="hf-data:OWNER/NAME?size=64&image=img&label=label&models=cifar10",
        module="bench.data.hf_data",
        takes={"size": _SIDE, "image": r".+", "label": r".+", "config": r".+", "models": r"\S+"},
        note="a data set of Hugging Face, or a folder that one was saved to", package="datasets",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataAddress:
    """The parts of an address.

    Attributes:
        place: what the scheme finds the data set by, such as a folder.
        settings: values by name, as written.
    """

    place: str
    settings: Mapping[str, str]

    @classmethod
    def read(cls, name: str) -> DataAddress:
        """Return the parts of an address.

        Raises:
            SpecError: it does not have the form above, or a setting that its scheme does not take.
        """
        scheme, _, rest = name.partition(":")
        known = DATA_SCHEMES[scheme]
        place, _, query = rest.partition("?")
        settings: dict[str, str] = {}
        for text in filter(None, query.split("&")):
            setting, _, value = text.partition("=")
            form = known.takes.get(setting)
            if form is None or setting in settings or not re.fullmatch(form, value, re.ASCII):
                what = "a folder" if scheme == "folder" else f"{scheme}:"
                raise SpecError(f"{name}: {text!r} is no setting of {what}; write {known.form}")
            settings[setting] = value
        if not place:
            thing = known.form.partition(":")[2].partition("?")[0]
            raise SpecError(f"{name}: name the {_CALLED[thing]}: {scheme}:{thing}")
        return cls(place, settings)


#: What the places of addresses are called in words.
_CALLED = {"PATH": "folder", "FILE": "file", "OWNER/NAME": "data set"}


def is_data_address(name: str) -> bool:
    """Return whether the name of a data set is an address."""
    match = _SCHEME.match(name)
    return match is not None and match[1] in DATA_SCHEMES


def facts_at(name: str) -> Any:
    """Return the facts of the data set at an address, a `bench.data.table.Dataset`.

    Raises:
        SpecError: an address of another form, or one at which there is no data set.
        PrerequisiteError: a package is missing, or a file is damaged.
    """
    return _facts(name, Path.cwd())


def images_at(name: str, split: str) -> Any:
    """Return a split of the data set at an address, a `bench.data.labelled.LabelledImages`.

    Raises:
        SpecError: as in `facts_at`.
        PrerequisiteError: images are missing or damaged.
    """
    return _code(name).images(name, split)


def files_at(name: str, split: str) -> list[str] | None:
    """Return the names of the files of a split, in its order; None where its images are no files."""
    if not is_data_address(name):
        return None
    files = getattr(_code(name), "files", None)
    return None if files is None else files(name, split)


@cache
def _facts(name: str, relative_to: Path) -> Any:
    return _code(name).facts(name)


def _code(name: str) -> ModuleType:
    return DATA_SCHEMES[name.partition(":")[0]].code()

"""Addresses of models: `SCHEME:PLACE`, or `SCHEME:PLACE?NAME=VALUE&data=DATA`. Imports no torch.

What follows the `?` are settings. `data` is the data set that the model classifies, and says which images it
takes; a data set with settings of its own, such as `folder:birds?size=64&seed=1`, is written last.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from bench.addresses.fits import of_robustbench, of_timm, of_torchvision
from bench.data.table import DATASETS
from bench.errors import BenchError, SpecError
from bench.registry import unknown

_SCHEME = re.compile(r"([a-z]+):")

#: The packages of each extra that addresses need: how they are imported, and what they are called.
EXTRAS: Mapping[str, Mapping[str, str]] = {
    "timm": {"timm": "timm"},
    "hf": {"huggingface_hub": "huggingface-hub", "transformers": "transformers"},
    "onnx": {"onnx": "onnx", "onnx2torch": "onnx2torch", "onnxruntime": "onnxruntime"},
    "robustbench": {"robustbench": "robustbench"},
}

#: Settings of a network that does not say itself how it takes its images.
_PREPROCESSING = ("mean", "std", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A kind of address.

    Attributes:
        form: how its addresses are written.
        module: has `load(address, data)`, which returns the model.
        takes: names of the settings beside `data`; None for any.
        extra: what it needs beside the package itself; empty for nothing.
        fits: returns the data set of the model at a place, or an empty text; None where no place says it.
    """

    form: str
    module: str
    takes: tuple[str, ...] | None = ()
    extra: str = ""
    fits: Callable[[str], str] | None = None

    def code(self) -> ModuleType:
        """Return its module, imported at first use."""
        return importlib.import_module(self.module)


SCHEMES: Mapping[str, Scheme] = {
    "timm": Scheme(form="timm:NAME", module="bench.addresses.timm", extra="timm", fits=of_timm),
    "torchvision": Scheme(
        form="torchvision:NAME", module="bench.addresses.torchvision", takes=("weights",),
        fits=of_torchvision,
    ),
    "hub": Scheme(form="hub:OWNER/REPO:ENTRY", module="bench.addresses.hub", takes=None),
    "hf": Scheme(form="hf:OWNER/NAME", module="bench.addresses.hf", extra="hf"),
    "robustbench": Scheme(
        form="robustbench:DATA/THREAT/NAME", module="bench.addresses.robustbench", extra="robustbench",
        fits=of_robustbench,
    ),
    "onnx": Scheme(
        form="onnx:FILE", module="bench.addresses.onnx", takes=_PREPROCESSING, extra="onnx"
    ),
    "torchscript": Scheme(
        form="torchscript:FILE", module="bench.addresses.torchscript", takes=_PREPROCESSING
    ),
    "state": Scheme(
        form="state:FILE?arch=timm:NAME", module="bench.addresses.state",
        takes=("arch", "classes", *_PREPROCESSING),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address.

    Attributes:
        place: what the scheme finds the model by, such as its name or a file.
        settings: values by name, as written, without `data`.
        data: the data set that the address names; empty if it names none.
    """

    scheme: str
    place: str
    settings: Mapping[str, str]
    data: str = ""

    @classmethod
    def read(cls, name: str) -> Address:
        """Return the parts of an address.

        Raises:
            SpecError: it does not have the form above, or a setting that its scheme does not take.
        """
        scheme, _, rest = name.partition(":")
        place, _, query = rest.partition("?")
        form = SCHEMES[scheme].form
        if not place:
            raise SpecError(f"{name}: write {form}")
        settings, data = _settings(name, query)
        takes = SCHEMES[scheme].takes
        for setting in settings:
            if takes is not None and setting not in takes:
                names = ", ".join((*takes, "data"))
                raise SpecError(f"{name}: {form} takes no setting {setting!r}; it takes {names}")
        return cls(scheme, place, settings, data)


def is_address(name: str) -> bool:
    """Return whether the name of a model is an address."""
    match = _SCHEME.match(name)
    return match is not None and match[1] in SCHEMES


@cache
def data_of(name: str) -> str:
    """Return the name of the data set that the model at an address classifies.

    Raises:
        SpecError: not an address, or no such data set, or it names none and the model does not say which.
        PrerequisiteError: what finds this out is not installed.
    """
    address = Address.read(name)
    scheme = SCHEMES[address.scheme]
    found = address.data
    if not found and scheme.fits is not None:
        try:
            found = scheme.fits(address.place)
        except BenchError as error:
            raise type(error)(f"{name}: {error}") from error
    if not found:
        joint = "&" if address.settings else "?"
        raise SpecError(
            f"{name}: say which data set it classifies, such as {name}{joint}data=cifar10 (bench ls datasets)"
        )
    if found not in DATASETS:
        raise SpecError(f"{name}: {unknown('data set', found, list(DATASETS))}")
    return found


def loaded_with(name: str) -> dict[str, str]:
    """Return the versions of the packages that load the model at an address, by package."""
    scheme, _, rest = name.partition(":")
    extras = [SCHEMES[scheme].extra, *re.findall(r"arch=(timm):", rest)]
    found = {}
    for package in (
        package for extra in filter(None, extras) for package in EXTRAS[extra].values()
    ):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _settings(name: str, query: str) -> tuple[dict[str, str], str]:
    """Return the settings of an address without `data`, and that."""
    settings: dict[str, str] = {}
    own, data = _without_data(query)
    for text in filter(None, own.split("&")):
        setting, equals, value = text.partition("=")
        if not equals or not value:
            raise SpecError(f"{name}: {text!r} is not NAME=VALUE")
        if setting in settings:
            raise SpecError(f"{name}: {setting} is given twice")
        settings[setting] = value
    return settings, data


def _without_data(query: str) -> tuple[str, str]:
    """Return the settings before and after `data`, and the data set, with its own settings if it has some."""
    match = re.search(r"(?:^|&)data=", query)
    if match is None:
        return query, ""
    before, rest = query[: match.start()], query[match.end() :]
    if "?" in rest:
        return before, rest
    data, _, after = rest.partition("&")
    return "&".join(filter(None, (before, after))), data

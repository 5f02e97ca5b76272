"""What the schemes share: networks with their preprocessing, extras, files, downloads."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from bench.adapters.network import wrap
from bench.addresses.address import EXTRAS
from bench.data.table import Dataset
from bench.errors import AdapterError, PrerequisiteError, SpecError
from bench.models.imagenet import Resized
from bench.registry import first_line
from bench.spec import Adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a network wants images that are given in [0, 1].

    Attributes:
        mean: subtracted in each channel; None for networks that take images as they are.
        std: the divisor after that.
        size: (height, width) that images are scaled to; None for the size in which they come.
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    size: tuple[int, int] | None = None

    @classmethod
    def read(cls, settings: Mapping[str, str]) -> Preprocessing:
        """Return what the settings `mean`, `std` and `size` of an address say.

        Raises:
            SpecError: no numbers, or one of `mean` and `std` without the other.
        """
        if ("mean" in settings) != ("std" in settings):
            raise SpecError("give both mean and std, or neither")
        size = _numbers("size", settings)
        if size is not None and (len(size) > 2 or any(n < 1 or n != int(n) for n in size)):
            raise SpecError(f"size={settings['size']} is neither a side nor HEIGHT,WIDTH in pixels")
        return cls(
            mean=_numbers("mean", settings),
            std=_numbers("std", settings),
            size=None if size is None else (int(size[0]), int(size[-1])),
        )


def _numbers(setting: str, settings: Mapping[str, str]) -> list[float] | None:
    if setting not in settings:
        return None
    try:
        numbers = [float(text) for text in settings[setting].split(",")]
    except ValueError as error:
        raise SpecError(f"{setting}={settings[setting]} are not numbers with commas") from error
    if not all(map(math.isfinite, numbers)) or (setting == "std" and min(numbers) <= 0):
        raise SpecError(f"{setting}={settings[setting]} cannot be right")
    return numbers


def network_model(net: nn.Module, data: Dataset, wanted: Preprocessing) -> Adapter:
    """Return a network as a model for the images of a data set.

    Raises:
        AdapterError: it has other classes, does not take such images, or gives no logits.
    """
    if wanted.size is not None and wanted.size != data.input_shape[1:]:
        height, width = wanted.size
        net = Resized(net, height if height == width else wanted.size)
    channels = data.input_shape[0]
    # An image in grey becomes one in colour, as many channels as there are means.
    if wanted.mean is not None and channels > 1 and len(wanted.mean) not in (1, channels):
        raise AdapterError(
            f"it takes images with {len(wanted.mean)} channels, those of {data.name} have {channels}"
        )
    try:
        return wrap(net.eval(), len(data.classes), data.input_shape, wanted.mean, wanted.std)
    except AdapterError as error:
        raise AdapterError(f"{error} (data={data.name} says images and classes)") from error


def check_classes(count: int, data: Dataset) -> None:
    """Check the number of classes of a model.

    Raises:
        AdapterError: its data set has more or fewer.
    """
    if count != len(data.classes):
        raise AdapterError(
            f"it has {count} classes, {data.name} has {len(data.classes)}; name the data set that it "
            f"classifies (data=)"
        )


class Reordered(nn.Module):
    """A network whose logits are put into the order of a data set's classes."""

    def __init__(self, net: nn.Module, order: Sequence[int]) -> None:
        super().__init__()
        self.net, self.order = net, list(order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) of images (N, C, H, W)."""
        output = self.net(x)
        logits: torch.Tensor = output if isinstance(output, torch.Tensor) else output.logits
        return logits[:, self.order]


def in_order(net: nn.Module, names: Sequence[str], data: Dataset) -> nn.Module:
    """Return a network whose logits are in the order of the classes of a data set, where these have its names.

    Args:
        net: gives logits, as a tensor or as an attribute `logits`.
        names: of its classes.
        data: the data set; where its classes are called otherwise, the order stays.
    """
    own, wanted = (
        [name.lower().replace("_", " ").strip() for name in each] for each in (names, data.classes)
    )
    if own == wanted or len(set(own)) < len(own) or sorted(own) != sorted(wanted):
        return net
    return Reordered(net, [own.index(name) for name in wanted])


def need(extra: str, *packages: str) -> None:
    """Check that all packages of an extra are here, or some of them.

    Raises:
        PrerequisiteError: one is not.
    """
    packages = packages or tuple(EXTRAS[extra])
    lacking = [package for package in packages if importlib.util.find_spec(package) is None]
    if lacking:
        raise PrerequisiteError(
            f"needs {' and '.join(lacking)}; run: pip install 'crossfire-bench[{extra}]'"
        )


def existing_file(place: str) -> Path:
    """Return the file that an address names.

    Raises:
        PrerequisiteError: there is none.
    """
    file = Path(place).expanduser()
    if not file.is_file():
        raise PrerequisiteError(f"no file {file.absolute()}; copy it there, or name another")
    return file


def sha256(file: Path) -> str:
    """Return the sha256 of a file's content, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def downloading(remedy: str) -> Iterator[None]:
    """Report a download that fails as one line.

    Args:
        remedy: what to do where there is a network.

    Raises:
        PrerequisiteError: a file is neither here nor can it be downloaded.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.hub raises a RuntimeError because of an OSError of urllib.
        if not isinstance(error, OSError) and not isinstance(error.__cause__, OSError):
            raise
        raise PrerequisiteError(
            f"it is not here and cannot be downloaded ({first_line(error)}); {remedy}"
        ) from error


@contextmanager
def weights_alone() -> Iterator[None]:
    """Within the context `torch.load` reads weights alone, whoever calls it, and no file can run code."""
    key = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(key)
    os.environ[key] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before

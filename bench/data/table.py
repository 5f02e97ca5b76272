"""Facts of each data set, without reading it. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, overload

from bench.errors import SpecError


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set's facts.

    Attributes:
        title: the name as people write it.
        input_shape: (C, H, W) of an image.
        classes: names, in the order of the labels.
        splits: name to number of images.
        torchvision: the class in `torchvision.datasets` that reads and downloads it; None for a set that
            Crossfire reads itself.
        means: the mean of the training images in each channel, in [0, 1]; empty if not known.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: Sequence[str]
    splits: dict[str, int]
    torchvision: str | None
    note: str
    title: str
    means: tuple[float, ...] = ()


class ImageNetClasses(Sequence[str]):
    """The names of ImageNet's 1,000 classes; torchvision, which has them, is imported when one is asked for."""

    def __len__(self) -> int:
        return 1000

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...
    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        return _imagenet_names()[at]


@cache
def _imagenet_names() -> tuple[str, ...]:
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


_TEN = tuple(str(digit) for digit in range(10))
_FASHION = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
)  # fmt: skip
_CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_FLOWERS = (
    "daffodil", "snowdrop", "lily of the valley", "bluebell", "crocus", "iris", "tiger lily", "tulip",
    "fritillary", "sunflower", "daisy", "colt's foot", "dandelion", "cowslip", "buttercup", "windflower",
    "pansy",
)  # fmt: skip
_MNIST_SPLITS = {"train": 60_000, "test": 10_000}

#: How the name of a folder of class folders begins, which is a data set too.
FOLDER = "folder:"


class DataSets(Mapping[str, Dataset]):
    """The data sets by name. Those listed are Crossfire's; any `folder:PATH` is one too.

    Asking for a folder that cannot be a data set raises a SpecError that says why, `get` apart.
    """

    def __init__(self, listed: Iterable[Dataset]) -> None:
        self._listed = {entry.name: entry for entry in listed}

    def __getitem__(self, name: str) -> Dataset:
        if name.startswith(FOLDER):
            from bench.data.folders import folder_facts

            return folder_facts(name)
        return self._listed[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a data set; the default where there is none, or a folder that is not here any more."""
        try:
            return self[name]
        except (KeyError, SpecError):
            return default

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


DATASETS = DataSets(
    (
        Dataset(
            "digits", (1, 8, 8), _TEN, {"train": 1297, "test": 500}, None,
            "8x8 handwritten digits, embedded in scikit-learn; no download", "digits",
            (0.3059,),
        ),
        Dataset(
            "mnist", (1, 28, 28), _TEN, _MNIST_SPLITS, "MNIST", "28x28 handwritten digits",
            "MNIST", (0.1307,),
        ),
        Dataset(
            "fashion-mnist", (1, 28, 28), _FASHION, _MNIST_SPLITS, "FashionMNIST",
            "28x28 pictures of clothing", "Fashion-MNIST", (0.2860,),
        ),
        Dataset(
            "cifar10", (3, 32, 32), _CIFAR10, {"train": 50_000, "test": 10_000}, "CIFAR10",
            "32x32 colour photographs", "CIFAR-10",
            (0.4914, 0.4822, 0.4465),
        ),
        Dataset(
            "flowers17", (3, 128, 128), _FLOWERS, {"train": 850, "validation": 170, "test": 340}, None,
            "128x128 photographs of flowers; the middle square, scaled", "Oxford Flowers-17",
            (0.4412, 0.4372, 0.2902),
        ),
        Dataset(
            "natural", (3, 224, 224), ImageNetClasses(), {"test": 20}, None,
            "224x224 photographs with ImageNet's classes: 20 that come with Foolbox, or those in the folder "
            "natural of the data folder, named *_LABEL.jpg or .png", "natural images",
            (0.485, 0.456, 0.406),
        ),
    )
)  # fmt: skip


def class_names(data: str, count: int) -> Sequence[str]:
    """Return the names of the classes of a model; none if these are not those of its data set.

    Args:
        data: the data set that the model classifies.
        count: how many classes it has.
    """
    known = DATASETS.get(data)
    return known.classes if known is not None and len(known.classes) == count else ()

"""Facts of each data set, without reading it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import overload


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set's facts.

    Attributes:
        title: the name as people write it.
        input_shape: (C, H, W) of an image.
        classes: names, in the order of the labels.
        splits: name to number of images.
        torchvision: the class in `torchvision.datasets` that reads and downloads it; None for a set that
            comes with a package that Crossfire requires.
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
_MNIST_SPLITS = {"train": 60_000, "test": 10_000}

DATASETS: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
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
            "natural", (3, 224, 224), ImageNetClasses(), {"test": 20}, None,
            "224x224 photographs with ImageNet's classes: 20 that come with Foolbox, or those in the folder "
            "natural of the data folder, named *_LABEL.jpg or .png", "natural images",
            (0.485, 0.456, 0.406),
        ),
    )
}  # fmt: skip


def class_names(data: str, count: int) -> Sequence[str]:
    """Return the names of the classes of a model; none if these are not those of its data set.

    Args:
        data: the data set that the model classifies.
        count: how many classes it has.
    """
    known = DATASETS.get(data)
    return known.classes if known is not None and len(known.classes) == count else ()

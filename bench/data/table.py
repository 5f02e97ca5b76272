"""Facts of each data set, without reading it. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, overload

from bench.data.address import facts_at, is_data_address
from bench.errors import BenchError


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
        models_of: the data set whose models classify these images, too, such as `cifar10`; empty for none.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: Sequence[str]
    splits: dict[str, int]
    torchvision: str | None
    note: str
    title: str
    means: tuple[float, ...] = ()
    models_of: str = ""


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
_CIFAR100_TEXT = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
_CIFAR100 = tuple(name.replace("_", " ") for name in _CIFAR100_TEXT.split())
_STL10 = (
    "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
)  # fmt: skip
_FLOWERS = (
    "daffodil", "snowdrop", "lily of the valley", "bluebell", "crocus", "iris", "tiger lily", "tulip",
    "fritillary", "sunflower", "daisy", "colt's foot", "dandelion", "cowslip", "buttercup", "windflower",
    "pansy",
)  # fmt: skip
_MNIST_SPLITS = {"train": 60_000, "test": 10_000}


class DataSets(Mapping[str, Dataset]):
    """The data sets by name. Those listed are Crossfire's and users' own; an address is one too (`bench.data.address`).

    Asking for an address at which there is no data set raises an error that says why, `get` apart.
    """

    def __init__(self, listed: Iterable[Dataset]) -> None:
        self._listed = {entry.name: entry for entry in listed}

    def add(self, entry: Dataset) -> None:
        """List a data set."""
        self._listed[entry.name] = entry

    def __getitem__(self, name: str) -> Dataset:
        if is_data_address(name):
            facts: Dataset = facts_at(name)
            return facts
        return self._listed[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a data set; the default where there is none, or an address of one that is not here any more."""
        try:
            return self[name]
        except (KeyError, BenchError):
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
            "cifar100", (3, 32, 32), _CIFAR100, {"train": 50_000, "test": 10_000}, "CIFAR100",
            "32x32 colour photographs, 100 classes", "CIFAR-100", (0.5071, 0.4865, 0.4409),
        ),
        Dataset(
            "svhn", (3, 32, 32), _TEN, {"train": 73_257, "test": 26_032}, "SVHN",
            "32x32 photographs of house numbers; the digit in the middle", "SVHN",
            (0.4377, 0.4438, 0.4728),
        ),
        Dataset(
            "stl10", (3, 96, 96), _STL10, {"train": 5_000, "test": 8_000}, "STL10",
            "96x96 colour photographs", "STL-10", (0.4467, 0.4398, 0.4066),
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


def fits(images: str, model: str) -> bool:
    """Return whether the models of a data set classify the images of a data set: its own, or some made for them.

    Args:
        images: the data set that the images are of.
        model: the data set that the models are of.
    """
    if images == model:
        return True
    known = DATASETS.get(images)
    return known is not None and known.models_of == model


def class_names(data: str, count: int) -> Sequence[str]:
    """Return the names of the classes of a model; none if these are not those of its data set.

    Args:
        data: the data set that the model classifies.
        count: how many classes it has.
    """
    known = DATASETS.get(data)
    return known.classes if known is not None and len(known.classes) == count else ()

"""Reading data sets: scikit-learn's embedded digits, those of torchvision, flowers, photographs, addresses, users' own.

torchvision reads and, where a set is missing, downloads; its folder layout is the one expected in
`BENCH_DATA`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bench.data.address import images_at, is_data_address
from bench.data.flowers import flowers, flowers_present
from bench.data.labelled import LabelledImages
from bench.data.orders import places_of
from bench.data.photographs import labelled_files, photographs
from bench.data.table import DATASETS
from bench.data.users import READERS, users_images
from bench.errors import PrerequisiteError, SpecError
from bench.paths import data_dir
from bench.registry import unknown
from bench.spec import ImageSet


def _digits(split: str, root: Path) -> LabelledImages:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    raw = torch.from_numpy(digits.images).to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()
    # The last images are the test split; they were written by other people than the first.
    border = DATASETS["digits"].splits["train"]
    part = slice(0, border) if split == "train" else slice(border, None)
    return LabelledImages(raw[part], labels[part], top=16)


def _natural(split: str, root: Path) -> LabelledImages:
    return LabelledImages(*photographs(root / "natural", DATASETS["natural"]))


#: What reads the sets that torchvision does not, from a split and the data folder.
_READERS: dict[str, Callable[[str, Path], LabelledImages]] = {
    "digits": _digits,
    "flowers17": flowers,
    "natural": _natural,
}


def _torchvision(name: str, class_name: str, split: str, root: Path) -> LabelledImages:
    import torchvision.datasets

    kind = getattr(torchvision.datasets, class_name)
    by_name = "split" in inspect.signature(kind).parameters
    chosen: dict[str, Any] = {"split": split} if by_name else {"train": split == "train"}
    try:
        dataset = kind(root, **chosen, download=False)
    except RuntimeError:
        dataset = _download(kind, class_name, chosen, root)
    raw = torch.as_tensor(dataset.data)
    if raw.ndim == 3:
        raw = raw.unsqueeze(1)
    elif tuple(raw.shape[1:]) != DATASETS[name].input_shape:
        raw = raw.permute(0, 3, 1, 2)
    labels = dataset.targets if hasattr(dataset, "targets") else dataset.labels
    return LabelledImages(raw.contiguous(), torch.as_tensor(labels).long())


def _download(kind: Any, class_name: str, chosen: dict[str, Any], root: Path) -> Any:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return kind(root, **chosen, download=True)
    except (OSError, RuntimeError) as error:
        raise PrerequisiteError(
            f"{class_name} is not in {root} and could not be downloaded ({error}); where there is "
            f'a network run: python -c "import torchvision; torchvision.datasets.{class_name}'
            f"('DIR', download=True)\" and name that folder with --data DIR or BENCH_DATA"
        ) from error


def present(name: str, root: Path) -> bool:
    """Return whether a data set can be read without a download.

    Raises:
        SpecError: a photograph without a label in its name, or none.
        PrerequisiteError: the package that a data set comes with lacks it.
    """
    class_name = DATASETS[name].torchvision
    if name == "flowers17":
        return flowers_present(root)
    if name == "natural":
        labelled_files(root / name, DATASETS[name])
    if class_name is None:
        return True  # or of a user, whose function knows
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, class_name)(root, download=False)
    except RuntimeError:
        return False
    return True


@cache
def _read(name: str, split: str, root: Path) -> LabelledImages:
    if is_data_address(name):
        found: LabelledImages = images_at(name, split)
        return found
    class_name = DATASETS[name].torchvision
    if class_name is None:
        return _READERS[name](split, root)
    return _torchvision(name, class_name, split, root)


def load(name: str, split: str, root: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Return a split of a data set, downloading it if it is missing.

    Args:
        name: one of `DATASETS`, or an address (`bench.data.address`).
        split: `train`, `test`, or another that the data set has.
        root: the data folder; None for `BENCH_DATA`, else the cache.

    Raises:
        SpecError: no such data set or split.
        PrerequisiteError: the data set is missing and cannot be downloaded, or is damaged; or a folder holds
            files that are no photographs.
        DataError: the function of a user's data set fails.
    """
    if name not in DATASETS:
        raise unknown("data set", name, list(DATASETS))
    if split not in DATASETS[name].splits:
        raise SpecError(f"{name} has no split {split!r}; it has {', '.join(DATASETS[name].splits)}")
    if name in READERS:
        return users_images(name, split)
    return _read(name, split, data_dir(root).resolve())


def load_set(wanted: ImageSet, root: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Return the images of a set in their order, however many of them are wanted: the split, or those listed.

    Raises:
        SpecError: as in `load`.
        PrerequisiteError: as in `load`.
    """
    whole = load(wanted.data, wanted.split, root)
    return whole.picked(places_of(wanted.order, whole.labels)) if wanted.order else whole


def load_examples(name: str, root: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Return the images on which models of a data set are tried: its test split, or else its last.

    Raises:
        SpecError: no such data set.
        PrerequisiteError: as in `load`.
    """
    if name not in DATASETS:
        raise unknown("data set", name, list(DATASETS))
    splits = list(DATASETS[name].splits)
    return load(name, "test" if "test" in splits else splits[-1], root)

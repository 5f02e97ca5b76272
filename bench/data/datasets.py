"""The data sets: scikit-learn's embedded digits, torchvision's MNIST, Fashion-MNIST, CIFAR-10, and photographs.

torchvision reads and, where a set is missing, downloads; its folder layout is the one expected in
`BENCH_DATA`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bench.data.photographs import labelled_files, photographs
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError, SpecError
from bench.paths import data_dir
from bench.registry import unknown


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images in their stored form, and their labels.

    Attributes:
        raw: uint8 (N, C, H, W).
        labels: int64 (N,).
        top: the value of `raw` that means 1.0.
    """

    raw: torch.Tensor
    labels: torch.Tensor
    top: int = 255

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> torch.Tensor:
        """Return all images, float32 (N, C, H, W) in [0, 1]."""
        return self.raw.float() / self.top

    def first(self, count: int | None) -> LabelledImages:
        """Return the first `count` images in file order; all of them for None."""
        return LabelledImages(self.raw[:count], self.labels[:count], self.top)

    def checksum(self) -> str:
        """Return a text that changes with any pixel or label."""
        digest = hashlib.sha256(f"{tuple(self.raw.shape)} {self.top}".encode())
        digest.update(self.raw.contiguous().numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()[:16]


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


#: What reads the sets that come with a package, from a split and the data folder.
_READERS: dict[str, Callable[[str, Path], LabelledImages]] = {
    "digits": _digits,
    "natural": _natural,
}


def _torchvision(class_name: str, split: str, root: Path) -> LabelledImages:
    import torchvision.datasets

    kind = getattr(torchvision.datasets, class_name)
    try:
        dataset = kind(root, train=split == "train", download=False)
    except RuntimeError:
        dataset = _download(kind, class_name, split, root)
    raw = torch.as_tensor(dataset.data)
    raw = raw.unsqueeze(1) if raw.ndim == 3 else raw.permute(0, 3, 1, 2)
    return LabelledImages(raw.contiguous(), torch.as_tensor(dataset.targets).long())


def _download(kind: Any, class_name: str, split: str, root: Path) -> Any:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return kind(root, train=split == "train", download=True)
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
    if name == "natural":
        labelled_files(root / name, DATASETS[name])
    if class_name is None:
        return True
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, class_name)(root, download=False)
    except RuntimeError:
        return False
    return True


@cache
def _read(name: str, split: str, root: Path) -> LabelledImages:
    class_name = DATASETS[name].torchvision
    if class_name is None:
        return _READERS[name](split, root)
    return _torchvision(class_name, split, root)


def load(name: str, split: str, root: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Return a split of a data set, downloading it if it is missing.

    Args:
        name: one of `DATASETS`.
        split: `train` or `test`.
        root: the data folder; None for `BENCH_DATA`, else the cache.

    Raises:
        SpecError: no such data set or split.
        PrerequisiteError: the data set is missing and cannot be downloaded, or is damaged.
    """
    if name not in DATASETS:
        raise unknown("data set", name, list(DATASETS))
    if split not in DATASETS[name].splits:
        raise SpecError(f"{name} has no split {split!r}; it has {', '.join(DATASETS[name].splits)}")
    return _read(name, split, data_dir(root).resolve())

"""Oxford Flowers-17 (Nilsback and Zisserman, 2006): 17 classes of 80 photographs, in the published layout.

The images are those of `flowers17/jpg` in the data folder, `image_0001.jpg` to `image_1360.jpg`, 80 of a
class one after the other. The authors publish three splits of 680, 340 and 340 images; the study that
Crossfire repeats has one of 1,020 and 340 of its own, which is not published. The split here is another:
850, 170 and 340 images, 50, 10 and 20 of each class, drawn by a hash of the file names.
"""

from __future__ import annotations

from pathlib import Path

import torch

from bench.data.labelled import LabelledImages
from bench.data.splits import stratified
from bench.data.squares import read_square
from bench.data.table import DATASETS
from bench.errors import PrerequisiteError

_URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz"
_MD5 = "b59a65d8d1a99cd66944d474e1289eab"
_OF_A_CLASS = 80


def file_names() -> list[list[str]]:
    """Return the names of the files of each class, in the order of the labels."""
    numbers = (range(1 + start, 1 + start + _OF_A_CLASS) for start in range(0, 1360, _OF_A_CLASS))
    return [[f"image_{number:04d}.jpg" for number in of_class] for of_class in numbers]


def flowers(split: str, root: Path) -> LabelledImages:
    """Return a split, its photographs as squares of 128 pixels (`bench.data.squares.read_square`).

    Args:
        split: `train`, `validation` or `test`.
        root: the data folder; what is missing is downloaded there.

    Raises:
        PrerequisiteError: the photographs are missing and cannot be downloaded, or one is damaged.
    """
    if not flowers_present(root):
        _download(root)
    data = DATASETS["flowers17"]
    drawn = stratified(file_names(), data.splits)[split]
    raw = [read_square(_folder(root) / name, data.input_shape[-1]) for name, _ in drawn]
    return LabelledImages(torch.stack(raw), torch.tensor([label for _, label in drawn]))


def flower(split: str, index: int, root: Path) -> torch.Tensor:
    """Return one image of a split, float32 (3, 128, 128) in [0, 1].

    Args:
        split: `train`, `validation` or `test`.
        index: of the image in its split.
        root: the data folder, which has the photographs.

    Raises:
        PrerequisiteError: the photograph cannot be read.
    """
    data = DATASETS["flowers17"]
    name, _ = stratified(file_names(), data.splits)[split][index]
    return read_square(_folder(root) / name, data.input_shape[-1]) / 255


def flowers_present(root: Path) -> bool:
    """Return whether all photographs are in the data folder."""
    folder = _folder(root)
    return all((folder / name).is_file() for names in file_names() for name in names)


def _folder(root: Path) -> Path:
    return root / "flowers17" / "jpg"


def _download(root: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    folder = root / "flowers17"
    try:
        download_and_extract_archive(_URL, folder, filename="17flowers.tgz", md5=_MD5)
    except (OSError, RuntimeError) as error:
        raise PrerequisiteError(
            f"flowers17 is not in {root} and could not be downloaded ({error}); where there is a network "
            f"run: mkdir -p DIR/flowers17 && curl -L {_URL} | tar -xz -C DIR/flowers17, and name DIR with --data DIR or BENCH_DATA"
        ) from error
    if not flowers_present(root):
        raise PrerequisiteError(
            f"{folder} lacks some of jpg/image_0001.jpg to image_1360.jpg; remove it and run again"
        )

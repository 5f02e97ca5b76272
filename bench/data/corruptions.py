"""CIFAR-10-C: `cifar10-c:PATH`, the corrupted test images of Hendrycks and Dietterich (2019), for models of `cifar10`.

PATH is the folder of the published files: `fog.npy` and so on, each uint8 (50000, 32, 32, 3), 10,000 images of each
severity from 1 to 5, and `labels.npy`. `?corruption=fog` and `&severity=3` choose some of them. Images are the
split `test`, ordered by what they were made from: the first test image in each corruption and severity, then the
second. So any first images have nearly as many of each. https://arxiv.org/abs/1903.12261
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data.address import DataAddress
from bench.data.table import DATASETS, Dataset
from bench.errors import PrerequisiteError, SpecError
from bench.registry import unknown

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from bench.data.labelled import LabelledLater

_CIFAR10 = DATASETS["cifar10"]

#: The 15 corruptions of the benchmark.
BENCHMARK = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip

#: Those that the authors keep apart, to choose parameters by; they count only where they are asked for.
HELD_OUT = ("gaussian_blur", "saturate", "spatter", "speckle_noise")

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The corruptions at an address.

    Attributes:
        folder: of the files.
        corruptions: names.
        severities: of each.
    """

    folder: Path
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]

    @classmethod
    def read(cls, name: str) -> Chosen:
        """Return the corruptions at an address; no file is looked at.

        Raises:
            SpecError: an address of another form, or no such corruption.
        """
        address = DataAddress.read(name)
        named, severity = (address.settings.get(each) for each in ("corruption", "severity"))
        if named is not None and named not in (*BENCHMARK, *HELD_OUT):
            raise SpecError(f"{name}: {unknown('corruption', named, [*BENCHMARK, *HELD_OUT])}")
        return cls(
            Path(address.place).expanduser().absolute(),
            BENCHMARK if named is None else (named,),
            SEVERITIES if severity is None else (int(severity),),
        )

    @property
    def versions(self) -> list[tuple[str, int]]:
        """Corruption and severity of the versions of each image, in their order."""
        return [(name, severity) for name in self.corruptions for severity in self.severities]


def is_corrupted(name: str) -> bool:
    """Return whether the name of a data set is an address of corrupted images."""
    return name.startswith("cifar10-c:")


def facts(name: str) -> Dataset:
    """Return the facts of the images at an address; files are only looked at.

    Raises:
        SpecError: as in `Chosen.read`.
        PrerequisiteError: the folder lacks files.
    """
    chosen = Chosen.read(name)
    wanted = [f"{each}.npy" for each in ("labels", *chosen.corruptions)]
    missing = [file for file in wanted if not (chosen.folder / file).is_file()]
    if missing:
        raise PrerequisiteError(
            f"{name}: {chosen.folder} has no {missing[0]}; unpack CIFAR-10-C.tar "
            f"(https://zenodo.org/records/2535967) and name the folder with its .npy files"
        )
    labels = _array(chosen.folder / "labels.npy")
    if labels.ndim != 1 or len(labels) % len(SEVERITIES):
        raise PrerequisiteError(
            f"{chosen.folder / 'labels.npy'} has shape {labels.shape}, and not (50000,); unpack CIFAR-10-C.tar again"
        )
    return Dataset(
        name, _CIFAR10.input_shape, _CIFAR10.classes,
        {"test": len(labels) // len(SEVERITIES) * len(chosen.versions)}, None,
        f"corrupted images of CIFAR-10 in {chosen.folder}", _title(chosen), models_of=_CIFAR10.name,
    )  # fmt: skip


def images(name: str, split: str) -> LabelledLater:
    """Return the images, which are read when they are asked for.

    Raises:
        SpecError: as in `facts`.
        PrerequisiteError: a file is damaged, or has arrays of another form.
    """
    import numpy as np
    import torch

    from bench.data.labelled import LabelledLater

    facts(name)
    chosen = Chosen.read(name)
    labels = np.array(_array(chosen.folder / "labels.npy"))
    each = len(labels) // len(SEVERITIES)
    arrays = {}
    for corruption in chosen.corruptions:
        file = chosen.folder / f"{corruption}.npy"
        array = _array(file)
        if array.dtype != np.uint8 or array.shape != (len(labels), 32, 32, 3):
            raise PrerequisiteError(
                f"{file} holds {array.dtype} {array.shape}, and not the published uint8 ({len(labels)}, 32, 32, 3); "
                f"unpack CIFAR-10-C.tar again"
            )
        arrays[corruption] = array
    of_images = torch.from_numpy(labels[:each].astype(np.int64))
    stored = CorruptedImages(arrays, chosen, each)
    return LabelledLater(stored, of_images.repeat_interleave(len(chosen.versions)))


@dataclass(frozen=True, slots=True)
class CorruptedImages:
    """Arrays of corrupted images, which stay in their files.

    Attributes:
        arrays: by corruption, uint8 (5 N, H, W, C).
        chosen: the corruptions.
        each: how many images there are of a corruption and severity, N.
    """

    arrays: dict[str, NDArray[np.uint8]]
    chosen: Chosen
    each: int

    @property
    def title(self) -> str:
        return "corrupted"

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, 32, 32)

    def read(self, place: int) -> torch.Tensor:
        import torch

        return torch.from_numpy(self._pixels(place)).permute(2, 0, 1).contiguous()

    def content(self, place: int) -> bytes:
        return self._pixels(place).tobytes()

    def _pixels(self, place: int) -> NDArray[np.uint8]:
        import numpy as np

        image, version = divmod(place, len(self.chosen.versions))
        corruption, severity = self.chosen.versions[version]
        return np.array(self.arrays[corruption][(severity - 1) * self.each + image])


@cache
def _array(file: Path) -> NDArray[Any]:
    import numpy as np

    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PrerequisiteError(
            f"{file} is no array of numpy ({error}); unpack CIFAR-10-C.tar again"
        ) from error
    return array


def _title(chosen: Chosen) -> str:
    """Return how the images are called: `CIFAR-10-C`, or `CIFAR-10-C, fog, severity 3`."""
    parts = ["CIFAR-10-C"]
    parts += [chosen.corruptions[0].replace("_", " ")] if len(chosen.corruptions) == 1 else []
    parts += [f"severity {chosen.severities[0]}"] if len(chosen.severities) == 1 else []
    return ", ".join(parts)

"""`hf-data:OWNER/NAME`: a data set of Hugging Face, or of a folder that one was saved to (`Dataset.save_to_disk`).

Its splits are those it has. Images are the column of type Image and labels that of type ClassLabel, or those that
`image=` and `label=` name. With `size=64` they are cut and scaled to squares, as in a folder; without it all must have
the size of the first. `config=` chooses one of several versions. An image is decoded when it is asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data.address import DataAddress
from bench.data.hugging_face import from_cache_alone, why_no_answer
from bench.data.models_of import like
from bench.data.table import Dataset
from bench.errors import PrerequisiteError, SpecError
from bench.registry import first_line

if TYPE_CHECKING:
    import torch

    from bench.data.labelled import LabelledLater


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of a data set.

    Attributes:
        image: name of the column of images.
        label: name of that of labels.
        classes: names of the classes; empty where the column has none.
    """

    image: str
    label: str
    classes: tuple[str, ...]


def facts(name: str) -> Dataset:
    """Return the facts of a data set; at first use it is downloaded.

    Raises:
        SpecError: an address of another form, or a data set without images and labels.
        PrerequisiteError: the package datasets is missing, or the data set cannot be had.
    """
    address = DataAddress.read(name)
    splits, columns = _splits(name), _columns(name)
    shape = _shape(name, next(iter(splits.values())), columns)
    models = address.settings.get("models", "")
    classes = like(name, models, shape, columns.classes) if models else columns.classes
    return Dataset(
        name, shape, tuple(classes) or _numbered(name, splits, columns),
        {split: len(rows) for split, rows in splits.items()}, None,
        f"images of the data set {address.place}", address.place.rpartition("/")[2], models_of=models,
    )  # fmt: skip


def images(name: str, split: str) -> LabelledLater:
    """Return a split; images are decoded when they are asked for.

    Raises:
        SpecError: as in `facts`, or labels that are no classes.
        PrerequisiteError: as in `facts`.
    """
    import numpy as np
    import torch

    from bench.data.checked_arrays import check_labels
    from bench.data.labelled import LabelledLater

    known, columns, rows = facts(name), _columns(name), _splits(name)[split]
    labels = np.asarray(rows[columns.label])
    check_labels(f"{name} {split}", labels, len(rows), len(known.classes))
    stored = HostedImages(f"{name} {split}", rows, columns.image, known.input_shape,
                          "size" in DataAddress.read(name).settings)  # fmt: skip
    return LabelledLater(stored, torch.from_numpy(labels.astype(np.int64)))


@dataclass(frozen=True, slots=True)
class HostedImages:
    """Images of a split.

    Attributes:
        name: of data set and split, for errors.
        rows: the split, a `datasets.Dataset`.
        column: of the images.
        shape: of an image, (C, H, W).
        cut: whether they are cut and scaled to that.
    """

    name: str
    rows: Any
    column: str
    shape: tuple[int, int, int]
    cut: bool

    @property
    def title(self) -> str:
        return f"hosted {self.shape}"

    def read(self, place: int) -> torch.Tensor:
        import numpy as np
        import torch
        from PIL import ImageOps

        from bench.data.squares import cut_square

        try:
            picture = self.rows[place][self.column]
        except Exception as error:  # whatever decoder it has
            raise PrerequisiteError(
                f"{self.name}: image {place} cannot be decoded ({first_line(error)})"
            ) from error
        upright = ImageOps.exif_transpose(picture).convert("L" if self.shape[0] == 1 else "RGB")
        if self.cut:
            upright = cut_square(upright, self.shape[-1])
        if upright.size != (self.shape[2], self.shape[1]):
            raise SpecError(
                f"{self.name}: image {place} is {upright.width}x{upright.height}, the first is "
                f"{self.shape[2]}x{self.shape[1]}; ask for squares of one size with size=N in the address"
            )
        pixels = torch.from_numpy(np.array(upright))
        return pixels[None] if self.shape[0] == 1 else pixels.permute(2, 0, 1).contiguous()

    def content(self, place: int) -> bytes:
        return self.read(place).numpy().tobytes()


@cache
def _splits(name: str) -> Mapping[str, Any]:
    """Return the splits of a data set by name, as `datasets` reads them."""
    if importlib.util.find_spec("datasets") is None:
        raise PrerequisiteError(
            f"{name}: needs datasets; run: pip install 'crossfire-bench[hf-data]'"
        )
    import datasets

    address = DataAddress.read(name)
    folder = Path(address.place).expanduser()
    no_answer = ""
    try:
        if folder.is_dir() and "config" not in address.settings:
            found = datasets.load_from_disk(str(folder))
        else:
            # A folder of files needs no hub.
            no_answer = "" if folder.is_dir() else why_no_answer(_readme(address.place))
            with from_cache_alone() if no_answer else nullcontext():
                found = datasets.load_dataset(address.place, address.settings.get("config"))
    except Exception as error:  # whatever is missing there
        raise PrerequisiteError(
            f"{name}: it cannot be had ({no_answer or first_line(error)}); where there is a network save it with "
            f"datasets.load_dataset({address.place!r}).save_to_disk('DIR') and write hf-data:DIR"
        ) from error
    return {"test": found} if isinstance(found, datasets.Dataset) else dict(found)


def _readme(place: str) -> str:
    """Return the address of the file that every data set on the hub has."""
    from huggingface_hub import hf_hub_url

    return str(hf_hub_url(place, "README.md", repo_type="dataset"))


@cache
def _columns(name: str) -> Columns:
    """Return the columns of images and labels of a data set."""
    import datasets

    settings = DataAddress.read(name).settings
    features = next(iter(_splits(name).values())).features
    image = settings.get("image") or _only(name, features, datasets.Image, "image")
    label = settings.get("label") or _only(name, features, datasets.ClassLabel, "label")
    for setting, column in (("image", image), ("label", label)):
        if column not in features:
            raise SpecError(f"{name}: {setting}={column}: its columns are {', '.join(features)}")
    if not isinstance(features[image], datasets.Image):
        raise SpecError(f"{name}: its column {image!r} holds no images")
    return Columns(image, label, tuple(getattr(features[label], "names", None) or ()))


def _only(name: str, features: Mapping[str, Any], kind: type, setting: str) -> str:
    """Return the only column of a type."""
    found = [column for column, feature in features.items() if isinstance(feature, kind)]
    if len(found) != 1:
        raise SpecError(
            f"{name}: {len(found)} of its columns are {setting}s; name one of {', '.join(features)} with "
            f"{setting}=COLUMN in the address"
        )
    return found[0]


def _shape(name: str, rows: Any, columns: Columns) -> tuple[int, int, int]:
    """Return the shape of the images: that of the first, or a square of the size that is asked for."""
    if not len(rows):
        raise SpecError(f"{name}: no images")
    first = rows[0][columns.image]
    channels = 1 if first.mode in ("L", "1") else 3
    side = DataAddress.read(name).settings.get("size")
    return (channels, int(side), int(side)) if side else (channels, first.height, first.width)


def _numbered(name: str, splits: Mapping[str, Any], columns: Columns) -> Sequence[str]:
    """Return the numbers of the classes, where these have no names."""
    import numpy as np

    from bench.data.checked_arrays import check_labels

    labels = [np.asarray(rows[columns.label]) for rows in splits.values()]
    for of_split in labels:
        check_labels(name, of_split, len(of_split), None)
    return tuple(map(str, range(1 + max(int(of_split.max()) for of_split in labels))))

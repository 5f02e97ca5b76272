"""The image sets of a suite file: data sets, a split, how many images, and which come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.address import DATA_SCHEMES
from bench.data.orders import drawn_order, listed_order
from bench.data.table import DATASETS
from bench.errors import BenchError, SpecError
from bench.registry import unknown
from bench.spec import Count, ImageSet, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImages:
    """What a suite file says of its images.

    Attributes:
        path: of the suite file; a list of images is looked for from its folder.
        data: names or addresses of data sets.
        split: of each.
        images: how many, `all`, or the file of a list.
        order: `random` or `balanced`, with a seed; empty for the order of the file.
    """

    path: Path
    data: Sequence[str]
    split: str
    images: Count | str
    order: str

    def sets(self) -> tuple[ImageSet, ...]:
        """Return an image set for each data set.

        Raises:
            SpecError: no such data set, split, order or list.
            PrerequisiteError: an address whose data set cannot be had.
        """
        return tuple(self._set(name) for name in self.data)

    def _set(self, name: str) -> ImageSet:
        try:
            known = DATASETS[name]
        except KeyError:
            raise SpecError(
                f"{self.path}: data: {_unknown(name)}; if it comes from a plug-in, name that with --plugin FILE"
            ) from None
        except BenchError as error:
            raise type(error)(f"{self.path}: data: {error}") from error
        if self.split not in known.splits:
            raise SpecError(
                f"{self.path}: split: {name} has no split {self.split!r}; it has {', '.join(known.splits)}"
            )
        count, order = self._count_and_order(name)
        return ImageSet(data=name, split=self.split, count=count, order=order)

    def _count_and_order(self, name: str) -> tuple[int | None, str]:
        try:
            if isinstance(self.images, str) and self.images != "all":
                order = self._listed(name)
                return len(listed(order)), order
            order = drawn_order(self.order) if self.order else ""
        except SpecError as error:
            raise SpecError(f"{self.path}: {error}") from error
        return None if self.images == "all" else int(self.images), order

    def _listed(self, name: str) -> str:
        if self.order:
            raise SpecError("order: the images are listed, in the order of the list; leave it out")
        if len(self.data) > 1:
            raise SpecError("images: a list is of one data set; write a suite for each")
        file = self.path.parent / Path(str(self.images)).expanduser()
        return listed_order(file, name, self.split)


def _unknown(name: str) -> str:
    """Return what is said of a data set that there is not; of one that looks like an address, the forms of these."""
    if ":" not in name:
        return str(unknown("data set", name, list(DATASETS)))
    forms = ", ".join(scheme.form.partition("?")[0] for scheme in DATA_SCHEMES.values())
    return f"no data set named {name!r}; addresses of data sets are {forms}"

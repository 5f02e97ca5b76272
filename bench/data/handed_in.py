"""Images that others made, as a model takes them, each beside the clean image that it was made from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.data.handed_in_files import ImageFile, read_images
from bench.data.labelled import LabelledImages
from bench.data.scales import DIVIDED, top_of
from bench.errors import SpecError
from bench.spec import by_eight_bits

#: Order is looked at on so many images first, and images are compared so many at a time, at most so many pixels
#: high and wide.
_SAMPLE, _TOGETHER, _SIDE = 32, 500, 16


@dataclass(frozen=True, slots=True, eq=False)
class HandedIn:
    """Images that others made of those of a split.

    Attributes:
        images: float32 (N, C, H, W), in [0, 1] as far as they are valid.
        places: int64 (N,), the place of the clean image of each in the split, ascending.
        content: hash of both; it identifies the images wherever their file lies.
        notes: what was done to read them, a line each.
    """

    images: torch.Tensor
    places: torch.Tensor
    content: str
    notes: tuple[str, ...] = ()

    @property
    def extent(self) -> int:
        """Return how many images of the split there are up to the last that was handed in."""
        return int(self.places.max()) + 1

    def instead_of(self, x: torch.Tensor, start: int) -> tuple[torch.Tensor, list[bool]]:
        """Return the images handed in for some clean ones, and for which there are any.

        Args:
            x: clean images (N, C, H, W), which stay where no image was handed in.
            start: the place of the first in the split.
        """
        inside = (self.places >= start) & (self.places < start + len(x))
        at = self.places[inside] - start
        x_adv, there = x.clone(), torch.zeros(len(x), dtype=torch.bool)
        x_adv[at.to(x.device)] = self.images[inside].to(x)
        there[at] = True
        return x_adv, there.tolist()


def read_handed_in(
    path: Path, clean: LabelledImages, shape: tuple[int, int, int], budget: tuple[str, float]
) -> HandedIn:
    """Return the images of a file beside those of a split.

    They may be in float or in 8 bits, from 0 to 1 or to 255, with channels first or last. In which order they
    are is said by the places in the file; without these they are the first of the split, or in whatever order
    their nearest clean images are.

    Args:
        path: of the file.
        clean: the whole split.
        shape: (C, H, W), of an image of the split as the model takes it.
        budget: norm and radius that they should keep to; only the order is decided by it.

    Raises:
        SpecError: as in `read_images`; images of another shape or scale, or that belong to no images of the
            split; or all are clean.
    """
    file = read_images(path)
    if not len(file.images):
        raise SpecError(f"{path}: it holds no image")
    for name, part in (("labels", file.labels), ("places", file.places)):
        if part is not None and len(part) != len(file.images):
            raise SpecError(f"{path}: {len(file.images)} images, but {len(part)} {name}")
    shaped, forms = _channels_first(path, file.images, shape)
    images, scales = _scaled(path, shaped)
    kept, places, orders = _placed(path, images, file, clean, budget)
    order = places.argsort()  # so that the order in the file makes no difference
    images, places = images[kept[order]].contiguous(), places[order]
    if not any(_lengths(images, places, clean, "linf").nonzero().tolist()):
        raise SpecError(
            f"{path}: its images are the clean ones of the split, none is changed; give the attacked ones"
        )
    digest = hashlib.sha256(f"handed in {tuple(images.shape)}".encode())
    digest.update(places.numpy().tobytes())
    digest.update(images.numpy().tobytes())
    notes = tuple(f"{path.name}: {line}" for line in (*forms, *scales, *orders))
    return HandedIn(images, places, digest.hexdigest()[:20], notes)


def _channels_first(
    path: Path, images: torch.Tensor, shape: tuple[int, int, int]
) -> tuple[torch.Tensor, list[str]]:
    """Return images as (N, C, H, W), and what was done."""
    channels, height, width = shape
    own = tuple(images.shape[1:])
    if own == shape:
        return images, []
    if own == (height, width, channels):
        return images.permute(0, 3, 1, 2), ["channels were last, and are first now"]
    if channels == 1 and own in ((height, width), (height * width,)):
        return images.reshape(len(images), *shape), []
    if tuple(images.shape) == shape:
        return images[None], []
    raise SpecError(
        f"{path}: an array of shape {tuple(images.shape)}; give images of shape {shape}, one after the other"
    )


def _scaled(path: Path, images: torch.Tensor) -> tuple[torch.Tensor, list[str]]:
    """Return images as float32 in [0, 1], as far as they are valid, and what was done."""
    finite = images.float()
    finite = finite[finite.isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    top = top_of(str(path), low, high, whole=not images.is_floating_point())
    return images.float() / top, [] if top == 1 else [DIVIDED]


def _placed(
    path: Path,
    images: torch.Tensor,
    file: ImageFile,
    clean: LabelledImages,
    budget: tuple[str, float],
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Return which images count, the place of each in the split, and what was done."""
    count, every = len(images), torch.arange(len(images))
    if file.places is not None:
        _check_places(path, file, clean)
        return every, file.places, []
    fits = count <= len(clean) and _same_labels(file, clean, every)
    if fits and _in_budget(images, every, clean, budget) >= 0.5:
        return every, every, []
    sample = torch.linspace(0, count - 1, min(_SAMPLE, count)).long()
    nearest = _nearest(images[sample], clean)
    if fits and bool((nearest == sample).float().mean() >= 0.5):
        return every, every, []
    if _in_budget(images[sample], nearest, clean, budget) >= 0.5:
        places = _nearest(images, clean)
        kept = _first_of_each(places)
        if len(kept) >= 0.9 * count and _same_labels(file, clean, places, kept):
            left = count - len(kept)
            lost = f"; {left} beside one that has an image already are left out" if left else ""
            return kept, places[kept], [
                f"not the first images of the split in their order: each was set beside the nearest{lost}"
            ]  # fmt: skip
    if fits:
        return every, every, []  # far from any image of the split, as the judge will say of each
    why = (
        f"{count} images, and the split has {len(clean)}"
        if count > len(clean)
        else "its labels are those of other images"
    )
    raise SpecError(f"{path}: {why}; give the place of each image in the split as `index`, from 0")


def _check_places(path: Path, file: ImageFile, clean: LabelledImages) -> None:
    places = file.places
    assert places is not None
    if int(places.min()) < 0 or int(places.max()) >= len(clean):
        raise SpecError(
            f"{path}: index runs from {int(places.min())} to {int(places.max())}; the split has the places 0 to "
            f"{len(clean) - 1}"
        )
    if len(set(places.tolist())) < len(places):
        raise SpecError(f"{path}: index names a place twice; give each image once")
    if not _same_labels(file, clean, places):
        raise SpecError(
            f"{path}: its labels differ from those of the split at the places in index; is it of another data set?"
        )


def _same_labels(
    file: ImageFile,
    clean: LabelledImages,
    places: torch.Tensor,
    kept: torch.Tensor | None = None,
) -> bool:
    """Return whether the labels of a file, if it has any, are those of the split at some places."""
    if file.labels is None:
        return True
    kept = torch.arange(len(places)) if kept is None else kept
    return torch.equal(file.labels[kept], clean.labels[places[kept]])


def _first_of_each(places: torch.Tensor) -> torch.Tensor:
    """Return the positions at which a place is named for the first time, ascending."""
    first: dict[int, int] = {}
    for position, place in enumerate(places.tolist()):
        first.setdefault(place, position)
    return torch.tensor(sorted(first.values()))


def _in_budget(
    images: torch.Tensor, places: torch.Tensor, clean: LabelledImages, budget: tuple[str, float]
) -> float:
    """Return the share of images that are about as near the clean ones at some places as they should be."""
    norm, eps = budget
    lengths = _lengths(images, places, clean, norm)
    slack = by_eight_bits(norm, images[0].numel()) + 1e-3 * eps
    return float((lengths <= eps + slack).float().mean())


def _lengths(
    images: torch.Tensor, places: torch.Tensor, clean: LabelledImages, norm: str
) -> torch.Tensor:
    """Return the distance of images from the clean ones at some places, (N,); NaN for one that is not finite."""
    order = {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": math.inf}[norm]
    found = []
    for rows in _spans(len(images)):
        change = images[rows] - clean.batch(places[rows])
        if norm == "l0":  # pixels, not values
            change = change.abs().amax(1)
        found.append(torch.linalg.vector_norm(change.flatten(1), order, dim=1))
    return torch.cat(found)


def _nearest(images: torch.Tensor, clean: LabelledImages) -> torch.Tensor:
    """Return the place of the clean image nearest to each, (N,), in l2 of the images in small."""
    small = _in_small(images)
    least = torch.full((len(images),), math.inf)
    places = torch.zeros(len(images), dtype=torch.int64)
    for rows in _spans(len(clean)):
        distance, place = torch.cdist(small, _in_small(clean.batch(rows))).min(1)
        nearer = distance < least
        least = torch.where(nearer, distance, least)
        places = torch.where(nearer, place + rows.start, places)
    return places


def _in_small(images: torch.Tensor) -> torch.Tensor:
    """Return images (N, C, H, W), which may be large, as rows of few values."""
    height, width = (min(_SIDE, length) for length in images.shape[2:])
    pooled = torch.nn.functional.adaptive_avg_pool2d(images, (height, width))
    return pooled.flatten(1).nan_to_num(0.0, 0.0, 0.0)


def _spans(count: int) -> Iterator[slice]:
    for start in range(0, count, _TOGETHER):
        yield slice(start, min(start + _TOGETHER, count))

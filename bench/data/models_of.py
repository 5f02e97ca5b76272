"""Images of somebody's own that are for the models of another data set. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.data.table import DATASETS
from bench.errors import SpecError
from bench.registry import unknown


def like(
    name: str, models: str, shape: tuple[int, int, int], classes: Sequence[str] = ()
) -> Sequence[str]:
    """Return the names of the classes of images that the models of another data set classify.

    Args:
        name: of the data set of the images, for errors.
        models: the other data set.
        shape: of the images, (C, H, W).
        classes: their own names of their classes; empty for those of the other data set.

    Raises:
        SpecError: no such data set, or its images have another shape or another number of classes.
    """
    if models not in DATASETS:
        raise SpecError(f"{name}: {unknown('data set', models, list(DATASETS))}")
    known = DATASETS[models]
    if tuple(known.input_shape) != tuple(shape):
        raise SpecError(
            f"{name}: its images have shape {tuple(shape)}, those of {models} {known.input_shape}"
        )
    if classes and len(classes) != len(known.classes):
        raise SpecError(f"{name}: it has {len(classes)} classes, {models} has {len(known.classes)}")
    return classes or known.classes

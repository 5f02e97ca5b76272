"""Computing a cell: the images and seeds of its chunks, and the task to compute for them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import torch

from bench.adapters.generators import device_of
from bench.adapters.modes import full_precision
from bench.attacks.catalogue import row_kind
from bench.data.handed_in import HandedIn
from bench.data.labelled import LabelledImages
from bench.errors import AdapterError, SpecError
from bench.runner.cache import RunCache
from bench.runner.confidence_reduction import plain
from bench.runner.kinds import KINDS
from bench.runner.task import Chunk, Part, Source, Task
from bench.spec import Adapter, Cell
from bench.store.identity import canonical_json, cell_key, identity, without_count

PICTURES = 16


def chunk_seed(cell: Cell, start: int) -> int:
    """Return the seed of a chunk.

    It does not depend on the toolkit, so that random starts agree, nor on the code of a user's attack, nor on
    how many images the cell has, so that a larger set has the same rows of the images that both have.
    """
    source = dataclasses.replace(cell.source(), attack=plain(cell.attack), code=None)
    named = {
        key: value for key, value in without_count(identity(source)).items() if key != "toolkit"
    }
    return _seed(canonical_json(named), start)


def target_seed(cell: Cell, start: int) -> int:
    """Return the seed of a chunk's randomly drawn targets, the same for all models and attacks."""
    return _seed(cell.seed, cell.images.data, cell.images.split, start)


def fit_identity(cell: Cell) -> dict[str, Any]:
    """Return everything that decides the perturbation a cell applies, as plain JSON values.

    Cells of other models or with other images under attack may agree in it; then they share the fit.
    """
    named = identity(cell)
    parameters = {
        parameter: value
        for parameter, value in cell.attack.parameters
        if parameter not in ("fit", "fitted_on")
    }
    attack = {**named["attack"], "words": parameters}
    parts = ("version", "fit", "toolkit", "seed", "substitute")
    return {name: named[name] for name in parts if name in named} | {"attack": attack}


def fit_seed(cell: Cell) -> int:
    """Return the seed of a cell's perturbation; it does not depend on the toolkit."""
    named = {key: value for key, value in fit_identity(cell).items() if key != "toolkit"}
    return _seed(canonical_json(named))


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def task_of(
    cell: Cell,
    run_cache: RunCache,
    perturbation: torch.Tensor | None = None,
    substitute: torch.nn.Module | None = None,
    handed_in: HandedIn | None = None,
) -> Task:
    """Return the task of a cell.

    Args:
        cell: the cell to compute.
        run_cache: clean predictions and crafted images of the run.
        perturbation: (C, H, W), what a fitted attack adds to every image.
        substitute: the network that is attacked in place of the model.
        handed_in: the images that others made.
    """
    source = cell.source()
    return Task(
        spec=cell.attack,
        toolkit=cell.toolkit,
        clean=run_cache.clean[cell.model],
        source=Source(
            surface=cell.surface,
            clean=run_cache.clean[source.model],
            crafted=None if cell.crafted_on is None else run_cache.crafted(cell_key(source)),
            perturbation=perturbation,
            substitute=substitute,
            handed_in=handed_in,
        ),
        named={
            "cell": cell_key(cell),
            "dataset": cell.images.data,
            "split": cell.images.split,
            "model": cell.model.title(),
        },
    )


def part_of(cell: Cell, images: LabelledImages, adapter: Adapter, start: int) -> Part:
    """Return the images of the cell's chunk that starts at `start`, on the model's device."""
    device, rows = device_of(adapter), slice(start, start + cell.batch_size)
    return Part(
        images.batch(rows).to(device),
        images.labels[rows].to(device),
        start,
        chunk_seed(cell, start),
        target_seed(cell, start),
    )


def compute_chunk(task: Task, part: Part) -> Chunk:
    """Return the rows of some images, and the images tried."""
    with full_precision():
        return KINDS[row_kind(task.spec.name).name].compute(task, part)


def check_images(adapter: Adapter, x: torch.Tensor, y: torch.Tensor) -> None:
    """Raise unless images and labels fit a model.

    Raises:
        SpecError: a wrong shape or dtype, values outside [0, 1], or labels that are no classes.
        AdapterError: images of a shape the model does not take.
    """
    if x.ndim != 4 or not x.is_floating_point():
        help_ = "" if x.is_floating_point() else "; divide values from 0 to 255 by 255"
        raise SpecError(f"images must be float (N, C, H, W), got {x.dtype} {tuple(x.shape)}{help_}")
    if tuple(x.shape[1:]) != tuple(adapter.spec.input_shape):
        raise AdapterError(
            f"{adapter.spec.name} takes images of shape {tuple(adapter.spec.input_shape)}, "
            f"these are {tuple(x.shape[1:])}"
        )
    low, high = (float(x.min()), float(x.max())) if x.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        raise SpecError(
            f"images must lie in [0, 1], these span [{low:.4g}, {high:.4g}]; "
            f"divide by 255, and leave normalisation to the model (bench.wrap's mean and std)"
        )
    if y.shape != (len(x),) or y.is_floating_point():
        help_ = "; take the argmax of one-hot labels" if y.ndim == 2 else ""
        raise SpecError(
            f"labels must be integers ({len(x)},), got {y.dtype} {tuple(y.shape)}{help_}"
        )
    if len(y) and not (int(y.min()) >= 0 and int(y.max()) < adapter.spec.num_classes):
        raise SpecError(
            f"labels run from {int(y.min())} to {int(y.max())}, "
            f"{adapter.spec.name} has classes 0 to {adapter.spec.num_classes - 1}"
        )

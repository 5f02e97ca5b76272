"""Perturbations that are fitted once and then applied chunk by chunk: their sources, and the fit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch

from bench.adapters.generators import device_of
from bench.attacks.catalogue import fit_images
from bench.attacks.job import Batch
from bench.attacks.run_attack import Fitted, fit
from bench.data.datasets import load
from bench.data.labelled import LabelledImages
from bench.errors import SpecError
from bench.runner.cell import fit_identity, fit_seed
from bench.runner.task import surface_of
from bench.spec import ITSELF, Adapter, AttackSpec, Cell, FittedOn, ImageSet, ModelRequest
from bench.store.fits import read_fit, write_fit
from bench.store.identity import canonical_json
from bench.store.store import Store

_FACTS = ("images", "passes", "fooling", "forwards", "backwards", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSource:
    """What a perturbation is fitted on.

    Attributes:
        adapter: the model.
        fingerprint: of the model.
        surface: the surface of the model that gradients are taken of.
        images: the images and their labels.
        substitute: images to logits, in place of the surface; None for a surface of the model.
    """

    adapter: Adapter
    fingerprint: str
    surface: str
    images: LabelledImages
    substitute: torch.nn.Module | None = None

    def named(self) -> FittedOn:
        """Return the source as a cell records it."""
        return FittedOn(
            fingerprint=self.fingerprint,
            surface=self.surface,
            checksum=self.images.checksum(),
        )


def source_images(
    spec: AttackSpec, attacked: ImageSet, data: str | os.PathLike[str] | None
) -> LabelledImages:
    """Return the images that an attack is fitted on.

    Args:
        spec: of a fitted attack.
        attacked: the images under attack.
        data: the data folder.

    Raises:
        SpecError: they are from the split under attack, or the split has too few.
        PrerequisiteError: the data set is missing.
    """
    wanted = fit_images(spec, attacked.data)
    if wanted.split == attacked.split:
        raise SpecError(
            f"{spec.name}: fit={spec.parameter('fit')} is of the split under attack, which would flatter "
            f"it; fit it on another split"
        )
    labelled = load(wanted.data, wanted.split, data)
    if (wanted.count or 0) > len(labelled):
        raise SpecError(
            f"{spec.name}: fit={spec.parameter('fit')} asks for more images than the {len(labelled)} of "
            f"{wanted.data} {wanted.split}"
        )
    return labelled.first(wanted.count)


def other_model(spec: AttackSpec, request: ModelRequest) -> str | None:
    """Return the name of the other model that an attack is fitted on; None for the attacked model."""
    name = str(spec.parameter("fitted_on"))
    return None if name in (ITSELF, request.title()) else name


def fitted(
    cell: Cell, source: FitSource, store: Store, key: str, fits: dict[str, Fitted], *, anew: bool
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return the perturbation (C, H, W) of a cell, after saving it, and the facts for the cell's record.

    It is the one saved by an earlier, interrupted run of the cell, else one that another cell of this
    run fitted, else it is fitted now.

    Args:
        cell: of a fitted attack.
        source: what it is fitted on.
        store: where it is saved.
        key: of the cell.
        fits: the perturbations of this run, to which this one is added.
        anew: whether to ignore a perturbation saved earlier.
    """
    name = canonical_json(fit_identity(cell))
    saved = None if anew else read_fit(store.folder(key))
    if saved is not None:
        v, recorded = saved
        fits.setdefault(name, Fitted(v, **{fact: recorded[fact] for fact in _FACTS}))
        return saved
    if name not in fits:
        adapter, device = source.adapter, device_of(source.adapter)
        fits[name] = fit(
            cell.attack, cell.toolkit,
            source.substitute or surface_of(adapter, cell.attack, source.surface),
            Batch(source.images.images.to(device), source.images.labels.to(device)),
            num_classes=adapter.spec.num_classes, seed=fit_seed(cell),
        )  # fmt: skip
    fit_result = fits[name]
    facts = {fact: getattr(fit_result, fact) for fact in _FACTS}
    return fit_result.v, write_fit(store.folder(key), fit_result.v, facts)

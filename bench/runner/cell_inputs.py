"""What the cells of a suite are made from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.attacks.catalogue import is_external
from bench.data.datasets import load_set
from bench.data.handed_in import HandedIn, read_handed_in
from bench.data.labelled import LabelledImages
from bench.data.table import fits
from bench.errors import AdapterError, PrerequisiteError
from bench.model_names import members_of, weights_names
from bench.paths import data_dir
from bench.runner.fits import FitSource, source_images
from bench.runner.loading import Setting
from bench.runner.substitutes import SubstituteSource, substitute_source
from bench.runner.training import Absent
from bench.spec import Adapter, AttackSpec, Count, ImageSet, ModelRequest, SubstituteName, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class CellInputs:
    """What the cells of a suite are made from.

    Attributes:
        suite: with the models and attacks that pass its filters.
        by_title: all models of the suite by title, including those filtered out.
        absent: models that cannot be loaded, and why.
        loaded: loads a model, once.
        fingerprint: returns the fingerprint of a model, computed once.
        images: images and labels of each image set.
        toolkits: the toolkits to use; empty for all.
        together: returns how many images of a model are attacked together where the suite does not say.
        setting: how and where the cells are computed.
        note: called with each line that a user has to know of how a file was read.
    """

    suite: Suite
    by_title: Mapping[str, ModelRequest]
    absent: Absent
    loaded: Callable[[ModelRequest], Adapter]
    fingerprint: Callable[[ModelRequest], str]
    images: Mapping[ImageSet, LabelledImages]
    toolkits: Sequence[str]
    together: Callable[[ModelRequest], int]
    setting: Setting
    note: Callable[[str], None]

    def source(self, spec: AttackSpec, request: ModelRequest, surface: str) -> FitSource:
        """Return the model and images that an attack is fitted on."""
        adapter = self.loaded(request)
        images = source_images(spec, self.image_set(adapter, None), self.setting.data)
        return FitSource(
            adapter=adapter, fingerprint=self.fingerprint(request), surface=surface, images=images
        )

    def substitute(self, surface: str, images: ImageSet) -> SubstituteSource | None:
        """Return what a substitute is trained on; None for a surface that is none."""
        name = SubstituteName.read(surface)
        if name is None:
            return None
        whole_split = images.of("all")
        root = data_dir(self.setting.data)
        return substitute_source(name, whole_split, self.suite.seed, root)

    def handed_in(self, spec: AttackSpec, adapter: Adapter) -> HandedIn | None:
        """Return the images that others made, of an attack that tries these; None of any other."""
        if not is_external(spec.name):
            return None
        split = self.image_set(adapter, "all")
        return handed_in_for(spec, adapter.spec.input_shape, split, self.setting.data)

    def named(self, name: str) -> ModelRequest:
        """Return the model with a title, whether or not the suite lists it."""
        return self.by_title.get(name, ModelRequest(name=name))

    def why_no_source(self, request: ModelRequest) -> str | None:
        """Return why no images can be crafted on a model for others; None if they can."""
        absence = self.absent.why(weights_of(request))
        if absence is not None:
            return absence
        try:
            self.fingerprint(request)
        except (AdapterError, PrerequisiteError) as error:
            return str(error)
        return None if self.loaded(request).surfaces() else "it has no gradient"

    def image_set(self, adapter: Adapter, count: Count | None) -> ImageSet:
        """Return the images that a model is attacked on, as many as the attack (else the suite) asks for."""
        data = adapter.spec.data
        return next(images for images in self.suite.images if fits(images.data, data)).of(count)


def made_of(request: ModelRequest) -> tuple[ModelRequest, ...]:
    """Return the models that a model is made of; none for most."""
    return members_of(request.name, dict(request.options))


def weights_of(request: ModelRequest) -> tuple[str, ...]:
    """Return the names of the models whose weights a model uses: those of its members, or one."""
    return weights_names(request.name, dict(request.options))


def handed_in_for(
    spec: AttackSpec,
    shape: tuple[int, int, int],
    split: ImageSet,
    data: str | os.PathLike[str] | None,
) -> HandedIn:
    """Return the images that others made, beside those of the split that they were made from.

    Args:
        spec: the attack `external`, which names their file.
        shape: (C, H, W), of an image as the model takes it.
        split: of a data set.
        data: the data folder.

    Raises:
        SpecError: as in `bench.data.handed_in.read_handed_in`.
        PrerequisiteError: the data set is missing.
    """
    path, radius = Path(str(spec.parameter("file"))), spec.radius
    assert radius is not None
    read_when = path.stat().st_mtime_ns if path.exists() else 0
    return _read(path, read_when, shape, split, (spec.norm, radius), data_dir(data))


@lru_cache(maxsize=4)
def _read(
    path: Path,
    read_when: int,
    shape: tuple[int, int, int],
    split: ImageSet,
    budget: tuple[str, float],
    data: Path,
) -> HandedIn:
    """Read a file once for the models and radii that its images are judged under; `read_when` it last changed."""
    return read_handed_in(path, load_set(split, data), shape, budget)

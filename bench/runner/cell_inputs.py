"""What the cells of a suite are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.data.labelled import LabelledImages
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
        """Return the images of a model's data set, as many as the attack (else the suite) asks for."""
        data = adapter.spec.data
        return next(images for images in self.suite.images if images.data == data).of(count)


def made_of(request: ModelRequest) -> tuple[ModelRequest, ...]:
    """Return the models that a model is made of; none for most."""
    return members_of(request.name, dict(request.options))


def weights_of(request: ModelRequest) -> tuple[str, ...]:
    """Return the names of the models whose weights a model uses: those of its members, or one."""
    return weights_names(request.name, dict(request.options))

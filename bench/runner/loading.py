"""The models of a plan, each loaded, observed and fingerprinted once, on one device."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from bench.adapters.abilities import Judged, KeepsApart, Remembers
from bench.data.datasets import load_examples
from bench.data.table import DATASETS, fits
from bench.errors import AdapterError, PrerequisiteError, SpecError
from bench.model_names import MODELS, all_ours, members_of
from bench.runner.memory import fitting
from bench.runner.sketch import sketched, sketched_of
from bench.spec import Adapter, ImageSet, ModelRequest, Suite
from bench.trust.behaviour import IMAGES, Behaviour, judged
from bench.zoo import combined, load_model

#: How many images are attacked together if nobody says, and the most values in all of them: a large network
#: keeps up to 1 kB for each value while it computes a gradient.
_IMAGES, _VALUES = 100, 1_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How and where the cells of a plan are computed.

    Attributes:
        batch_size: images attacked together, part of a cell's identity; None for 100, fewer of large images.
        device: `auto`, `cpu` or `cuda`.
        data: the data folder.
    """

    batch_size: int | None = None
    device: str = "auto"
    data: str | os.PathLike[str] | None = None

    def together(self, shape: Sequence[int]) -> int:
        """Return how many images of shape (C, H, W) are attacked together."""
        return self.batch_size or max(1, min(_IMAGES, _VALUES // math.prod(shape)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Loads the models of a suite, each once.

    Attributes:
        suite: the suite that attacks them.
        device: `cpu` or `cuda`.
        data: the data folder.
        train: whether the models will run; else they are only sketched.
        note: called with each line that a user has to know of a model.
        behaviours: the observed behaviour of each user's model loaded so far.
    """

    suite: Suite
    device: str
    data: str | os.PathLike[str] | None
    train: bool
    note: Callable[[str], None]
    behaviours: dict[ModelRequest, Behaviour] = field(default_factory=dict)
    _together: dict[ModelRequest, int] = field(default_factory=dict)
    _loaded: dict[ModelRequest, tuple[Adapter, str]] = field(default_factory=dict)

    def adapter(self, request: ModelRequest) -> Adapter:
        """Return a model in the form in which it is judged."""
        return self._known(request)[0]

    def fingerprint(self, request: ModelRequest) -> str:
        """Return the fingerprint of a model.

        Raises:
            AdapterError: it has none, or the model does not take the suite's images.
        """
        return self._known(request)[1]

    def together(self, request: ModelRequest, setting: Setting) -> int:
        """Return how many images are attacked together where neither the suite nor the user says.

        Of a user's model that is at most how many fit into the memory of the GPU.

        Raises:
            AdapterError: not one fits.
        """
        wanted = setting.together(self.adapter(request).spec.input_shape)
        if request not in self.behaviours or setting.batch_size is not None:
            return wanted
        if request not in self._together:
            try:
                self._together[request] = fitting(self.adapter(request), wanted, self.device)
            except AdapterError as error:
                raise AdapterError(f"{request.title()}: {error}") from error
            if self._together[request] < wanted:
                self.note(
                    f"{request.title()}: {self._together[request]} images are attacked together, since {wanted} do not "
                    f"fit into the memory of the GPU"
                )
        return self._together[request]

    def _known(self, request: ModelRequest) -> tuple[Adapter, str]:
        if request not in self._loaded:
            self._loaded[request] = self._load(request)
        return self._loaded[request]

    def _load(self, request: ModelRequest) -> tuple[Adapter, str]:
        options = dict(request.options)
        parts = members_of(request.name, options)
        if parts:
            adapter = self._combined(request, parts)
        elif self.train:
            adapter = load_model(request.name, options, device=self.device, data=self.data)
        else:
            adapter = sketched(request, device=self.device, data=self.data)
        attacked = _attacked_images(self.suite, request)
        _check_fits(self.suite, request, adapter, attacked)
        try:
            # Before the first prediction, since some networks store what they last computed.
            fingerprint = adapter.fingerprint()
        except AdapterError as error:
            raise AdapterError(f"{request.title()}: {error}") from error
        if all_ours(request.name, options):
            # Crossfire's own models behave; to observe them takes up to 0.15 s each, a smoothed one far more.
            return adapter, fingerprint
        watched = load_examples(attacked.data, self.data).first(IMAGES).images
        adapter, self.behaviours[request] = judged(adapter, watched)
        for line in self.behaviours[request].notes():
            self.note(f"{request.title()}: {line}")
        if isinstance(adapter, Judged):
            fingerprint = adapter.judging(fingerprint)
        return adapter, fingerprint

    def _combined(self, request: ModelRequest, parts: Sequence[ModelRequest]) -> Adapter:
        """Return a model that is made of others; those are loaded once, for their own cells too."""
        try:
            members = {part: self.adapter(part) for part in parts}
        except AdapterError as error:
            raise AdapterError(f"{request.title()}: a member cannot be loaded: {error}") from error
        options = dict(request.options)
        if self.train:
            whole = combined(request.name, members, options, data=self.data)
            assert whole is not None  # only a plan gets None
            return whole
        return sketched_of(request, members, data=self.data)


def resolve_device(named: str) -> str:
    """Return `cpu` or `cuda` for `auto`, `cpu` or `cuda`.

    Raises:
        PrerequisiteError: `cuda` where torch sees none.
    """
    if named == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if named == "cuda" and not torch.cuda.is_available():
        raise PrerequisiteError("--device cuda: torch sees no CUDA device; use --device cpu")
    return named


def _attacked_images(suite: Suite, request: ModelRequest) -> ImageSet:
    """Return the only image set of a suite that a model classifies."""
    registered = MODELS[request.name].facts["data"]
    found = [images for images in suite.images if fits(images.data, registered)]
    if not found:
        sets = ", ".join(images.data for images in suite.images)
        raise SpecError(f"{request.name} classifies {registered}, suite {suite.name} is {sets}")
    if len(found) > 1:
        sets = " and ".join(images.data for images in found)
        raise SpecError(
            f"{request.name} classifies the images of {sets}; write a suite for each of them"
        )
    return found[0]


def _check_fits(suite: Suite, request: ModelRequest, adapter: Adapter, attacked: ImageSet) -> None:
    """Raise if a model does not take the images that the suite attacks, or stores them itself."""
    data = DATASETS[attacked.data]
    if tuple(adapter.spec.input_shape) != data.input_shape:
        raise AdapterError(
            f"{request.name} takes images of shape {tuple(adapter.spec.input_shape)}, "
            f"{data.name} has {data.input_shape}"
        )
    if adapter.spec.num_classes != len(data.classes):
        raise AdapterError(
            f"{request.name} has {adapter.spec.num_classes} classes, "
            f"{data.name} has {len(data.classes)}"
        )
    if isinstance(adapter, Remembers):
        held = adapter.remembered
        if (held.data, held.split) == (attacked.data, attacked.split):
            raise SpecError(
                f"{request.title()} remembers the images of {held.data} {held.split}, which suite "
                f"{suite.name} attacks; attack another split"
            )
    if isinstance(adapter, KeepsApart) and adapter.attackable is not None:
        _check_apart(suite, request, attacked, adapter.attackable)


def _check_apart(
    suite: Suite, request: ModelRequest, attacked: ImageSet, attackable: ImageSet
) -> None:
    """Raise if a suite attacks images of a split that a model was fitted on."""
    if not fits(attacked.data, attackable.data):
        return
    same = attacked.data == attackable.data
    if same and attacked.split != attackable.split:
        return
    if not same or attacked.order:
        # Which of these images the model was fitted on is not known.
        raise SpecError(
            f"{request.title()} is fitted on images of {attackable.data} {attackable.split}; attack images of that "
            f"data set, and in the order of the file"
        )
    sets = [attacked.of(attack.images) for attack in suite.attacks if attack.is_on(request)]
    free = attackable.count or 0
    if any(images.count is None or images.count > free for images in sets):
        which = f" after the first {free}" if free else ""
        what = f"the first {free} at most" if free else "another split"
        raise SpecError(
            f"{request.title()} is fitted on the images of {attacked.data} {attacked.split}{which}, which "
            f"suite {suite.name} attacks; attack {what}, or fit it on others"
        )

"""Expands a suite's models and attacks into cells: toolkits, surfaces and fits for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from bench.attacks.catalogue import (
    access,
    available,
    is_fitted,
    refusal,
    row_kind,
    row_of,
)
from bench.attacks.needs import unmet
from bench.attacks.toolkits import shortfall
from bench.data.labelled import LabelledImages
from bench.errors import AdapterError, UnsupportedAttack
from bench.model_names import members_of, weights_names
from bench.paths import data_dir
from bench.runner.fits import FitSource, other_model, source_images
from bench.runner.kinds import KINDS
from bench.runner.loading import Setting
from bench.runner.substitutes import SubstituteSource, other_split, substitute_source
from bench.runner.training import Absent
from bench.spec import (
    BLACK_BOX_SURFACE,
    ITSELF,
    Adapter,
    AttackRequest,
    AttackSpec,
    Cell,
    Count,
    CraftedOn,
    ImageSet,
    ModelRequest,
    SubstituteName,
    Suite,
    Toolkit,
)
from bench.store.identity import cell_key


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
        setting: how and where the cells are computed.
    """

    suite: Suite
    by_title: Mapping[str, ModelRequest]
    absent: Absent
    loaded: Callable[[ModelRequest], Adapter]
    fingerprint: Callable[[ModelRequest], str]
    images: Mapping[ImageSet, LabelledImages]
    toolkits: Sequence[str]
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

    def image_set(self, adapter: Adapter, count: Count | None) -> ImageSet:
        """Return the images of a model's data set, as many as the attack (else the suite) asks for."""
        data = adapter.spec.data
        return next(images for images in self.suite.images if images.data == data).of(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandedCells:
    """The cells of a suite.

    Attributes:
        cells: cell by key; cells that judge the same images are adjacent.
        sources: by key of a cell with a fitted attack, what the attack is fitted on.
        substitutes: by key of a cell attacked through a substitute, what that is trained on.
        left_out: in words, what the suite asks for but cannot be run, and why.
    """

    cells: dict[str, Cell]
    sources: dict[str, FitSource]
    substitutes: dict[str, SubstituteSource]
    left_out: tuple[str, ...]


def make_cells(inputs: CellInputs, adapters: Mapping[ModelRequest, Adapter]) -> ExpandedCells:
    """Return the cells of every model under attack, model by model."""
    left_out: dict[str, None] = {}  # an ordered set
    runners = [
        (attack, tuple(_runners(attack, inputs.toolkits, left_out)))
        for attack in inputs.suite.attacks
    ]
    checksums = {wanted: images.checksum() for wanted, images in inputs.images.items()}
    crafted_on = cache(lambda request: _crafted_on(request, inputs))
    groups: dict[str, dict[str, Cell]] = {}
    sources: dict[str, FitSource] = {}
    substitutes: dict[str, SubstituteSource] = {}
    for request, adapter in adapters.items():
        fingerprint = inputs.fingerprint(request)
        for attack, able in runners:
            if not attack.is_on(request):
                continue
            images = inputs.image_set(adapter, attack.images)
            for spec, surface, source in _ways(attack, request, adapter, inputs, left_out):
                learnt = inputs.substitute(surface, images)
                for toolkit in _fit_for(attack, able, adapter if source is None else source.adapter,
                                        left_out):  # fmt: skip
                    cell = Cell(
                        model=request,
                        fingerprint=fingerprint,
                        attack=spec,
                        toolkit=toolkit,
                        surface=surface,
                        images=images,
                        checksum=checksums[images],
                        seed=inputs.suite.seed,
                        batch_size=attack.batch_size
                        or inputs.setting.together(adapter.spec.input_shape),
                        kind=row_kind(spec.name).name,
                        fit=None if source is None else source.named(),
                        crafted_on=None if _asks_itself(spec, surface) else crafted_on(request),
                        substitute=None if learnt is None else learnt.named(),
                    )
                    key = cell_key(cell)
                    groups.setdefault(cell_key(cell.source()), {})[key] = cell
                    if source is not None:
                        sources[key] = source
                    if learnt is not None:
                        substitutes[key] = learnt
    cells = {key: cell for group in groups.values() for key, cell in group.items()}
    return ExpandedCells(
        cells=cells, sources=sources, substitutes=substitutes, left_out=tuple(left_out)
    )


def made_of(request: ModelRequest) -> tuple[ModelRequest, ...]:
    """Return the models that a model is made of; none for most."""
    return members_of(request.name, dict(request.options))


def weights_of(request: ModelRequest) -> tuple[str, ...]:
    """Return the names of the models whose weights a model uses: those of its members, or one."""
    return weights_names(request.name, dict(request.options))


def _crafted_on(request: ModelRequest, inputs: CellInputs) -> CraftedOn | None:
    """Return the variant of a model that images are crafted on for it; None for the model itself."""
    if request.crafted_on is None:
        return None
    variant = dataclasses.replace(request, options=request.crafted_on)
    return CraftedOn(model=variant, fingerprint=inputs.fingerprint(variant))


def _asks_itself(spec: AttackSpec, surface: str) -> bool:
    """Return whether an attack asks the model itself, or only applies a perturbation."""
    asks = surface == BLACK_BOX_SURFACE or SubstituteName.read(surface) is not None
    return asks or is_fitted(spec.name)


def _ways(
    attack: AttackRequest,
    request: ModelRequest,
    adapter: Adapter,
    inputs: CellInputs,
    left_out: dict[str, None],
) -> Iterator[tuple[AttackSpec, str, FitSource | None]]:
    """Yield the attack, the surface and the source of a fit, for each cell of one toolkit.

    A model attacked by a perturbation fitted on another model is a black box: nothing of it is used.
    """
    spec = attack.spec
    if not is_fitted(spec.name):
        yield from (
            (spec, name, None) for name in _surfaces(attack, request, adapter, inputs, left_out)
        )
        return
    other = other_model(spec, request)
    if other is not None:
        wanted, title = inputs.named(other), ModelRequest(name=other)
        why = inputs.absent.why(weights_of(wanted))
        if why is not None:
            left_out[f"{spec.name} fitted on {other}: {why}"] = None
            return
        try:
            inputs.fingerprint(wanted)
        except AdapterError as error:
            left_out[f"{spec.name} fitted on {other}: {error}"] = None
            return
        own = [
            name
            for name in _surfaces(attack, title, inputs.loaded(wanted), inputs, left_out)
            if SubstituteName.read(name) is None
        ]
        for name in own[:1]:
            yield spec, BLACK_BOX_SURFACE, inputs.source(spec, wanted, name)
        return
    # Whether or not `fitted_on` names the model itself, the cell is the same.
    spec = dataclasses.replace(
        spec, parameters=tuple(sorted({**dict(spec.parameters), "fitted_on": ITSELF}.items()))
    )
    for name in _surfaces(attack, request, adapter, inputs, left_out):
        yield spec, name, inputs.source(spec, request, name)


def _runners(
    attack: AttackRequest, wanted: Sequence[str], left_out: dict[str, None]
) -> Iterator[Toolkit]:
    """Yield the toolkits that run an attack.

    Raises:
        UnsupportedAttack: the suite names a toolkit that does not have the attack or does not support
            one of its parameters. If it names none, such a toolkit is added to `left_out`.
    """
    spec = attack.spec
    for toolkit in attack.toolkits or _default_toolkits(spec):
        if wanted and toolkit not in wanted:
            continue
        why = refusal(spec, toolkit)
        if why is not None:
            if attack.toolkits is not None:
                raise UnsupportedAttack(why)
            left_out[why] = None
        elif (lacking := shortfall(row_of(spec.name), toolkit)) is not None:
            left_out[lacking] = None
        else:
            yield toolkit


def _default_toolkits(spec: AttackSpec) -> list[Toolkit]:
    """Return the toolkits that run an attack if a suite names none."""
    on_request = row_of(spec.name).on_request
    return [kit for kit in available(spec.name, spec.norm) if kit not in on_request]


def _fit_for(
    attack: AttackRequest,
    toolkits: Sequence[Toolkit],
    adapter: Adapter,
    left_out: dict[str, None],
) -> Iterator[Toolkit]:
    """Yield the toolkits whose needs a model's images and classes meet.

    Raises:
        UnsupportedAttack: the suite names a toolkit whose needs they do not meet. If it names none,
            such a toolkit is added to `left_out`.
    """
    model = adapter.spec
    for toolkit in toolkits:
        why = unmet(attack.spec, toolkit, model.input_shape, model.num_classes)
        if why is None:
            yield toolkit
        elif attack.toolkits is not None:
            raise UnsupportedAttack(f"{model.data}: {why}")
        else:
            left_out[f"{model.data}: {why}"] = None


def _surfaces(
    attack: AttackRequest,
    request: ModelRequest,
    adapter: Adapter,
    inputs: CellInputs,
    left_out: dict[str, None],
) -> Sequence[str]:
    """Return the surfaces through which an attack is made on a model; substitutes only where asked for."""
    refused = KINDS[row_kind(attack.spec.name).name].refuses(adapter)
    if refused is not None:
        left_out[f"{request.title()} {refused}"] = None
        return ()
    if access(attack.spec.name) != "white":
        return (BLACK_BOX_SURFACE,)
    offered, wanted = adapter.surfaces(), attack.surfaces
    substitutes = [name for name in wanted or () if SubstituteName.read(name) is not None]
    if not offered and not substitutes:
        left_out[
            f"{request.title()} has no gradient: {attack.spec.name} and other white-box attacks "
            f"do not reach it"
        ] = None
        return ()
    if wanted is None:
        return tuple(offered)
    attacked = inputs.image_set(adapter, None)
    if substitutes and other_split(attacked) is None:
        left_out[
            f"{attacked.data} has no other split, whose images a substitute could ask about"
        ] = None
        substitutes = []
    there = {*offered, *substitutes}
    for name in wanted:
        if name not in there and SubstituteName.read(name) is None:
            has = ", ".join(offered) or "none"
            left_out[f"{request.title()} has no surface {name!r}; it has {has}"] = None
    return tuple(name for name in wanted if name in there)

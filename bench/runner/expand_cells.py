"""Expands a suite's models and attacks into cells: toolkits, surfaces and fits for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from bench.attacks.catalogue import (
    is_fitted,
    refusal,
    row_kind,
    row_of,
    unnamed,
)
from bench.attacks.needs import unmet
from bench.attacks.toolkits import ADDED, shortfall
from bench.attacks.users import attack_code
from bench.data.handed_in import HandedIn
from bench.errors import AdapterError, PrerequisiteError, UnsupportedAttack
from bench.runner.attack_surfaces import is_elsewhere, surfaces_under
from bench.runner.cell_inputs import CellInputs, weights_of
from bench.runner.fits import FitSource, other_model
from bench.runner.substitutes import SubstituteSource
from bench.spec import (
    BLACK_BOX_SURFACE,
    HANDED_IN_SURFACE,
    ITSELF,
    Adapter,
    AttackRequest,
    AttackSpec,
    Cell,
    CraftedOn,
    ModelRequest,
    SubstituteName,
    Toolkit,
    transfer_source,
)
from bench.store.identity import cell_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandedCells:
    """The cells of a suite.

    Attributes:
        cells: cell by key; cells that judge the same images are adjacent.
        sources: by key of a cell with a fitted attack, what the attack is fitted on.
        substitutes: by key of a cell attacked through a substitute, what that is trained on.
        handed_in: images that others made, by the hash of their content.
        left_out: in words, what the suite asks for but cannot be run, and why.
    """

    cells: dict[str, Cell]
    sources: dict[str, FitSource]
    substitutes: dict[str, SubstituteSource]
    handed_in: dict[str, HandedIn]
    left_out: tuple[str, ...]


def make_cells(inputs: CellInputs, adapters: Mapping[ModelRequest, Adapter]) -> ExpandedCells:
    """Return the cells of every model under attack, model by model."""
    left_out: dict[str, None] = {}  # an ordered set
    runners = [
        (attack, tuple(_runners(attack, inputs.toolkits, left_out)))
        for attack in inputs.suite.attacks
    ]
    checksums = {wanted: images.checksum() for wanted, images in inputs.images.items()}
    crafted_on = cache(lambda request, surface: _crafted_on(request, surface, inputs))
    code = cache(attack_code)
    cells: dict[str, Cell] = {}
    sources: dict[str, FitSource] = {}
    substitutes: dict[str, SubstituteSource] = {}
    handed_in: dict[str, HandedIn] = {}
    for request, adapter in adapters.items():
        fingerprint = inputs.fingerprint(request)
        for attack, able in runners:
            if not attack.is_on(request):
                continue
            images = inputs.image_set(adapter, attack.images)
            made = inputs.handed_in(attack.spec, adapter)
            if made is not None and made.content not in handed_in:
                handed_in[made.content] = made
                for line in made.notes:
                    inputs.note(line)
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
                        batch_size=attack.batch_size or inputs.together(request),
                        kind=row_kind(spec.name).name,
                        fit=None if source is None else source.named(),
                        crafted_on=None
                        if _asks_itself(spec, surface)
                        else crafted_on(request, surface),
                        substitute=None if learnt is None else learnt.named(),
                        handed_in=None if made is None else made.content,
                        code=code(spec.name),
                    )
                    key = cell_key(cell)
                    cells[key] = cell
                    if source is not None:
                        sources[key] = source
                    if learnt is not None:
                        substitutes[key] = learnt
    return ExpandedCells(
        cells=grouped(cells), sources=sources, substitutes=substitutes, handed_in=handed_in,
        left_out=tuple(left_out),
    )  # fmt: skip


def grouped(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Return cells by key, those that judge the same images side by side, so that these are crafted once."""
    groups: dict[str, dict[str, Cell]] = {}
    for key, cell in cells.items():
        groups.setdefault(cell_key(cell.source()), {})[key] = cell
    return {key: cell for group in groups.values() for key, cell in group.items()}


def _crafted_on(request: ModelRequest, surface: str, inputs: CellInputs) -> CraftedOn | None:
    """Return the model that images are crafted on for another: one named, or a variant; None for itself."""
    source = transfer_source(surface)
    if source is not None:
        model = inputs.named(source)
    elif request.crafted_on is not None:
        model = dataclasses.replace(request, options=request.crafted_on)
    else:
        return None
    return CraftedOn(model=model, fingerprint=inputs.fingerprint(model))


def _asks_itself(spec: AttackSpec, surface: str) -> bool:
    """Return whether an attack asks the model itself, or only applies what is made already."""
    asks = (
        surface in (BLACK_BOX_SURFACE, HANDED_IN_SURFACE)
        or SubstituteName.read(surface) is not None
    )
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
            (spec, name, None)
            for name in surfaces_under(attack, request, adapter, inputs, left_out)
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
            for name in surfaces_under(attack, title, inputs.loaded(wanted), inputs, left_out)
            if not is_elsewhere(name)
        ]
        for name in own[:1]:
            yield spec, BLACK_BOX_SURFACE, inputs.source(spec, wanted, name)
        return
    # Whether or not `fitted_on` names the model itself, the cell is the same.
    spec = dataclasses.replace(
        spec, parameters=tuple(sorted({**dict(spec.parameters), "fitted_on": ITSELF}.items()))
    )
    for name in surfaces_under(attack, request, adapter, inputs, left_out):
        yield spec, name, inputs.source(spec, request, name)


def _runners(
    attack: AttackRequest, wanted: Sequence[str], left_out: dict[str, None]
) -> Iterator[Toolkit]:
    """Yield the toolkits that run an attack.

    Raises:
        UnsupportedAttack: the suite names a toolkit that does not have the attack or does not support
            one of its parameters. If it names none, such a toolkit is added to `left_out`.
        PrerequisiteError: the suite names a toolkit that users add and that is not installed.
    """
    spec = attack.spec
    for toolkit in attack.toolkits or unnamed(spec.name, spec.norm):
        if wanted and toolkit not in wanted:
            continue
        why = refusal(spec, toolkit)
        if why is not None:
            if attack.toolkits is not None:
                raise UnsupportedAttack(why)
            left_out[why] = None
        elif (lacking := shortfall(row_of(spec.name), toolkit)) is not None:
            if attack.toolkits is not None and toolkit in ADDED:
                raise PrerequisiteError(lacking)
            left_out[lacking] = None
        else:
            yield toolkit


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

"""From a suite to its cells: models loaded, attacks matched with toolkits, keys computed."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch

from bench.adapters.abilities import Judged, Remembers
from bench.attacks.catalogue import install_command, installed, is_fitted
from bench.data.datasets import LabelledImages, load
from bench.data.table import DATASETS
from bench.errors import AdapterError, PrerequisiteError, SpecError, UnsupportedAttack
from bench.registry import literal, unknown
from bench.runner.expand_cells import Given, is_for, make_cells, weights_of
from bench.runner.fits import Source
from bench.runner.requested import asked_of
from bench.runner.sketch import Outline, is_later, sketched
from bench.runner.suite_claims import check_models
from bench.runner.training import train_first
from bench.spec import ITSELF, TOOLKITS, Adapter, Cell, ImageSet, ModelRequest, Suite
from bench.store.identity import suite_content
from bench.trust.behaviour import IMAGES, Behaviour, judged
from bench.zoo import MODELS, check_options, load_model

DEFAULT_BATCH_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every cell a run asks for, in order, and what it takes to compute them.

    Attributes:
        suite: as asked for, with its filters and the number of images applied.
        content: of the suite as its file says it, see `suite_content`.
        asked: how much of that the filters left, see `asked_of`.
        cells: key to cell.
        adapters: the models, each loaded once; those that are climbed for others too.
        images: the images and labels under attack, by what is asked for.
        left_out: in words, what the suite asks for that cannot be run, and why.
        sources: key of a cell with a fitted attack to what that is fitted on.
        behaviours: how models that are not shipped were found to answer.
        sketch: whether it is only to be looked at: nothing was trained or embedded for it.
        later: of a sketch, the cells whose keys are not known yet, which are not among `cells`.
        untrained: names of the models that have to be trained before those.
        unembedded: names of the models whose training images have to be embedded before those.
        broken: title to why, of the user's models that cannot be attacked; they are in `left_out` too.
    """

    suite: Suite
    content: str
    asked: dict[str, Any]
    cells: dict[str, Cell]
    adapters: dict[ModelRequest, Adapter]
    images: dict[ImageSet, LabelledImages]
    batch_size: int
    device: str
    left_out: tuple[str, ...]
    sources: dict[str, Source] = field(default_factory=dict)
    sketch: bool = False
    later: tuple[Cell, ...] = ()
    untrained: tuple[str, ...] = ()
    behaviours: dict[ModelRequest, Behaviour] = field(default_factory=dict)
    unembedded: tuple[str, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)

    def images_of(self, cell: Cell) -> LabelledImages:
        """Return the images and labels that a cell is about."""
        return self.images[cell.images]


def make_plan(
    suite: Suite,
    *,
    whole: Suite | None = None,
    models: Sequence[str] = (),
    attacks: Sequence[str] = (),
    toolkits: Sequence[str] = (),
    images: int | str | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    device: str = "auto",
    data: str | os.PathLike[str] | None = None,
    train: bool = True,
    note: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Return the cells of a suite; models without weights are trained first, in seconds each.

    Args:
        suite: what to run; models a plug-in registered for its data set join it.
        whole: the same as its file says it, where a command says other things in place of its words.
        models: globs; only models whose name matches one. None given: all.
        attacks: globs over attack names, likewise.
        toolkits: names of toolkits, likewise.
        images: how many images for every attack, whatever the suite says; `all` for every one.
        batch_size: images attacked together; part of a cell's identity.
        device: `auto`, `cpu` or `cuda`.
        data: the data folder.
        train: whether to; else the plan is a `sketch`.
        note: told what is trained, and what is to be known of a model.

    Raises:
        SpecError: a filter that matches nothing, or a suite that does not fit its models.
        PrerequisiteError: data, weights or a toolkit named in `toolkits` are missing.
    """
    for toolkit in toolkits:
        _check_toolkit(toolkit)
    whole = suite if whole is None else whole
    suite = _narrowed(suite, models, attacks, images)
    asked = asked_of(whole, suite, toolkits)
    wanted = [one.of(attack.images) for attack in suite.attacks for one in suite.images]
    subsets = {one: _images(one, data) for one in dict.fromkeys(wanted)}
    where = resolve_device(device)
    behaviours: dict[ModelRequest, Behaviour] = {}

    @cache
    def known_as(request: ModelRequest) -> tuple[Adapter, str]:
        """Return a model and its fingerprint."""
        if train:
            adapter = load_model(request.name, dict(request.options), device=where, data=data)
        else:
            adapter = sketched(request, device=where, data=data)
        _check_fits(suite, request, adapter)
        try:
            # Before it is asked anything, since some networks keep what they were last shown.
            found = adapter.fingerprint()
        except AdapterError as error:
            raise AdapterError(f"{request.title()}: {error}") from error
        facts = MODELS[request.name].facts
        if facts["ours"]:
            return adapter, found  # made of what is known to answer as it should
        observed = load(facts["data"], "test", data).first(IMAGES).images
        adapter, behaviours[request] = judged(adapter, observed)
        for line in behaviours[request].notes():
            note(f"{request.title()}: {line}")
        return adapter, adapter.judging(found) if isinstance(adapter, Judged) else found

    def loaded(request: ModelRequest) -> Adapter:
        return known_as(request)[0]

    def told_apart(request: ModelRequest) -> str:
        return known_as(request)[1]

    known = {request.title(): request for request in whole.models}
    absent = train_first(_named(suite, known), train=train, data=data, note=note)
    suite = dataclasses.replace(
        suite, models=tuple(one for one in suite.models if weights_of(one) not in absent.died)
    )

    broken = _broken(suite.models, told_apart)
    suite = dataclasses.replace(
        suite, models=tuple(one for one in suite.models if one.title() not in broken)
    )
    adapters = {request: loaded(request) for request in suite.models}
    given = Given(
        suite=suite, known=known, absent=absent, loaded=loaded, fingerprint=told_apart,
        images=subsets, toolkits=toolkits, batch_size=batch_size, data=data,
    )  # fmt: skip
    made = make_cells(given, adapters)
    died = (f"{name}: {why}" for name, why in absent.died.items())
    left_out = (*died, *broken.values(), *made.left_out)
    if not made.cells:
        reasons = f": {left_out[0]}" if left_out else ""
        raise UnsupportedAttack(f"nothing of suite {suite.name} can be run{reasons}")
    later = tuple(cell for cell in made.cells.values() if is_later(cell))
    makers = {cell.maker().model for cell in made.cells.values()}
    return Plan(
        suite=suite,
        content=suite_content(whole),
        asked=asked,
        cells={key: cell for key, cell in made.cells.items() if not is_later(cell)},
        adapters=adapters | {request: loaded(request) for request in makers},
        images=subsets,
        batch_size=batch_size,
        device=where,
        left_out=left_out,
        sources=made.sources,
        sketch=not train,
        later=later,
        untrained=absent.untrained,
        behaviours=behaviours,
        broken=broken,
        unembedded=_unembedded(adapters, absent.untrained),
    )


def _unembedded(
    adapters: Mapping[ModelRequest, Adapter], untrained: Sequence[str]
) -> tuple[str, ...]:
    found = (
        request.name
        for request, adapter in adapters.items()
        if isinstance(adapter, Outline) and weights_of(request) not in untrained
    )
    return tuple(dict.fromkeys(found))  # votes of several k and distances have one embedding


def _broken(
    requests: Iterable[ModelRequest], told_apart: Callable[[ModelRequest], str]
) -> dict[str, str]:
    """Return the titles of the user's models that cannot be loaded or told apart, and why.

    Others run all the same.

    Raises:
        AdapterError: one of Crossfire's own, whose options the suite has wrong.
    """
    found = {}
    for request in requests:
        try:
            told_apart(request)
        except AdapterError as error:
            if MODELS[request.name].facts["ours"]:
                raise
            found[request.title()] = str(error)
    return found


def _named(suite: Suite, known: Mapping[str, ModelRequest]) -> Iterator[str]:
    """Yield the names of all models whose weights a suite's cells need."""
    yield from (weights_of(request) for request in suite.models)
    for attack in suite.attacks:
        if is_fitted(attack.spec.name) and attack.spec.parameter("fitted_on") != ITSELF:
            title = str(attack.spec.parameter("fitted_on"))
            yield weights_of(known.get(title, ModelRequest(name=title)))


def _images(wanted: ImageSet, data: str | os.PathLike[str] | None) -> LabelledImages:
    found = load(wanted.data, wanted.split, data)
    if (wanted.count or 0) > len(found):
        raise SpecError(
            f"{wanted.count} images were asked for, {wanted.data} {wanted.split} has {len(found)}; "
            f"use --images all"
        )
    return found.first(wanted.count)


def _check_toolkit(name: str) -> None:
    if name not in TOOLKITS:
        raise unknown("toolkit", name, list(TOOLKITS))
    if not installed(name):
        raise PrerequisiteError(f"{name} is not installed; run: {install_command(name)}")


def _narrowed(
    suite: Suite, models: Sequence[str], attacks: Sequence[str], images: int | str | None
) -> Suite:
    sets = [one.data for one in suite.images]
    listed = {one.name for one in suite.models}  # with whatever options
    plugged = [
        ModelRequest(name=name)
        for name in MODELS
        if not MODELS[name].facts["ours"]
        and MODELS[name].facts["data"] in sets
        and name not in listed
    ]
    every = [*suite.models, *plugged]
    check_models(suite.name, suite.claims, [one.title() for one in every])
    titles = [name for one in every for name in (one.name, one.title())]
    exact = literal(models, titles)
    _check_filters("model", models, exact, titles)
    kept_models = [
        one for one in every if _matches(one.name, exact) or _matches(one.title(), exact)
    ]
    for one in every:
        check_options(one.name, dict(one.options))
    _check_filters("attack", attacks, attacks, [one.spec.name for one in suite.attacks])
    kept_attacks = [one for one in suite.attacks if _matches(one.spec.name, attacks)]
    # A model that the attacks kept are not made on need not be loaded, let alone trained.
    kept_models = [
        one
        for one in kept_models
        if any(is_for(attack, one) for attack in kept_attacks)
        or not any(is_for(attack, one) for attack in suite.attacks)
    ]
    if not kept_models:
        raise SpecError(f"suite {suite.name} makes none of these attacks on these models")
    sets_used = {MODELS[one.name].facts["data"] for one in kept_models}
    image_sets = [one for one in suite.images if one.data in sets_used] or list(suite.images)
    if images is not None:
        count = None if images == "all" else int(images)
        image_sets = [dataclasses.replace(one, count=count) for one in image_sets]
        kept_attacks = [dataclasses.replace(one, images=None) for one in kept_attacks]
    return dataclasses.replace(
        suite,
        models=tuple(kept_models),
        attacks=tuple(kept_attacks),
        images=tuple(image_sets),
    )


def _matches(name: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _check_filters(
    kind: str, said: Sequence[str], globs: Sequence[str], known: Sequence[str]
) -> None:
    """Raise unless each filter lets something through: what was asked for is not dropped unsaid."""
    for name, glob in zip(said, globs, strict=True):
        if not any(_matches(one, [glob]) for one in known):
            error = unknown(f"{kind} in this suite", name, sorted(set(known)))
            raise SpecError(f"--{kind}: {error}")


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


def _check_fits(suite: Suite, request: ModelRequest, adapter: Adapter) -> None:
    registered = MODELS[request.name].facts["data"]
    attacked = next((one for one in suite.images if one.data == registered), None)
    if attacked is None:
        sets = ", ".join(one.data for one in suite.images)
        raise SpecError(f"{request.name} classifies {registered}, suite {suite.name} is {sets}")
    data = DATASETS[registered]
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

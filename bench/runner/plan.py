"""From a suite to its cells: models loaded, attacks matched with toolkits, keys computed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.attacks.catalogue import is_fitted
from bench.data.datasets import LabelledImages, load
from bench.errors import AdapterError, SpecError, UnsupportedAttack
from bench.runner.expand_cells import Given, make_cells, weights_of
from bench.runner.fits import FitSource
from bench.runner.loading import Loader, Setting, resolve_device
from bench.runner.requested import asked_of
from bench.runner.selection import Selection, narrowed
from bench.runner.sketch import Outline, is_later
from bench.runner.training import train_first
from bench.spec import ITSELF, Adapter, Cell, ImageSet, ModelRequest, Suite
from bench.store.identity import suite_content
from bench.trust.behaviour import Behaviour
from bench.zoo import MODELS

EVERYTHING, DEFAULT = Selection(), Setting()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every cell a run asks for, in order, and what it takes to compute them.

    Attributes:
        suite: as asked for, with its filters and the number of images applied.
        content: of the suite as its file says it, see `suite_content`.
        asked: how much of that the filters left, see `asked_of`.
        cells: key to cell.
        adapters: the models, each loaded once; those that images are crafted on for others too.
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
    sources: dict[str, FitSource] = field(default_factory=dict)
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
    selection: Selection = EVERYTHING,
    setting: Setting = DEFAULT,
    *,
    whole: Suite | None = None,
    train: bool = True,
    note: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Return the cells of a suite; models without weights are trained first, in seconds each.

    Args:
        suite: what to run; models a plug-in registered for its data set join it.
        selection: what of it is wanted.
        setting: how and where its cells are computed.
        whole: the same as its file says it, where a command says other things in place of its words.
        train: whether to; else the plan is a `sketch`.
        note: told what is trained, and what is to be known of a model.

    Raises:
        SpecError: a filter that matches nothing, or a suite that does not fit its models.
        PrerequisiteError: data, weights or a toolkit that is named are missing.
    """
    whole = suite if whole is None else whole
    suite = narrowed(suite, selection)
    asked = asked_of(whole, suite, selection.toolkits)
    images = _image_sets(suite, setting.data)
    device = resolve_device(setting.device)
    known = {request.title(): request for request in whole.models}
    absent = train_first(_named(suite, known), train=train, data=setting.data, note=note)
    loader = Loader(suite=suite, device=device, data=setting.data, train=train, note=note)
    there = [request for request in suite.models if weights_of(request) not in absent.died]
    broken = _broken(there, loader)
    sound = tuple(request for request in there if request.title() not in broken)
    suite = dataclasses.replace(suite, models=sound)
    adapters = {request: loader.adapter(request) for request in suite.models}
    given = Given(
        suite=suite, known=known, absent=absent, loaded=loader.adapter,
        fingerprint=loader.fingerprint, images=images, toolkits=selection.toolkits,
        batch_size=setting.batch_size, data=setting.data,
    )  # fmt: skip
    made = make_cells(given, adapters)
    died = (f"{name}: {why}" for name, why in absent.died.items())
    left_out = (*died, *broken.values(), *made.left_out)
    if not made.cells:
        reasons = f": {left_out[0]}" if left_out else ""
        raise UnsupportedAttack(f"nothing of suite {suite.name} can be run{reasons}")
    crafted_on = {cell.source().model for cell in made.cells.values()}
    return Plan(
        suite=suite,
        content=suite_content(whole),
        asked=asked,
        cells={key: cell for key, cell in made.cells.items() if not is_later(cell)},
        adapters=adapters | {request: loader.adapter(request) for request in crafted_on},
        images=images,
        batch_size=setting.batch_size,
        device=device,
        left_out=left_out,
        sources=made.sources,
        sketch=not train,
        later=tuple(cell for cell in made.cells.values() if is_later(cell)),
        untrained=absent.untrained,
        behaviours=loader.behaviours,
        broken=broken,
        unembedded=_unembedded(adapters, absent.untrained),
    )


def _image_sets(
    suite: Suite, data: str | os.PathLike[str] | None
) -> dict[ImageSet, LabelledImages]:
    """Return the images of every set that some attack of a suite is made on."""
    wanted = [images.of(attack.images) for attack in suite.attacks for images in suite.images]
    return {images: _images(images, data) for images in dict.fromkeys(wanted)}


def _images(wanted: ImageSet, data: str | os.PathLike[str] | None) -> LabelledImages:
    labelled = load(wanted.data, wanted.split, data)
    if (wanted.count or 0) > len(labelled):
        raise SpecError(
            f"{wanted.count} images were asked for, {wanted.data} {wanted.split} has {len(labelled)}; "
            f"use --images all"
        )
    return labelled.first(wanted.count)


def _unembedded(
    adapters: Mapping[ModelRequest, Adapter], untrained: Sequence[str]
) -> tuple[str, ...]:
    names = (
        request.name
        for request, adapter in adapters.items()
        if isinstance(adapter, Outline) and weights_of(request) not in untrained
    )
    return tuple(dict.fromkeys(names))  # votes of several k and distances have one embedding


def _broken(requests: Iterable[ModelRequest], loader: Loader) -> dict[str, str]:
    """Return the titles of the user's models that cannot be loaded or told apart, and why.

    Others run all the same.

    Raises:
        AdapterError: one of Crossfire's own, whose options the suite has wrong.
    """
    broken = {}
    for request in requests:
        try:
            loader.fingerprint(request)
        except AdapterError as error:
            if MODELS[request.name].facts["ours"]:
                raise
            broken[request.title()] = str(error)
    return broken


def _named(suite: Suite, known: Mapping[str, ModelRequest]) -> Iterator[str]:
    """Yield the names of all models whose weights a suite's cells need."""
    yield from (weights_of(request) for request in suite.models)
    for attack in suite.attacks:
        if is_fitted(attack.spec.name) and attack.spec.parameter("fitted_on") != ITSELF:
            title = str(attack.spec.parameter("fitted_on"))
            yield weights_of(known.get(title, ModelRequest(name=title)))

"""From a suite to its cells: models loaded, attacks matched with toolkits, keys computed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.addresses.address import is_address
from bench.attacks.catalogue import is_fitted
from bench.data.datasets import load_set
from bench.data.handed_in import HandedIn
from bench.data.labelled import LabelledImages
from bench.data.table import fits
from bench.errors import (
    AdapterError,
    FamilyError,
    PrerequisiteError,
    SpecError,
    UnsupportedAttack,
)
from bench.model_names import MODELS, all_ours
from bench.runner.cell_inputs import CellInputs, made_of, weights_of
from bench.runner.expand_cells import make_cells
from bench.runner.fits import FitSource
from bench.runner.loading import Loader, Setting, resolve_device
from bench.runner.requested import asked_of
from bench.runner.selection import Selection, narrowed
from bench.runner.sketch import Outline, is_later
from bench.runner.substitutes import SubstituteSource
from bench.runner.training import Absent, train_first
from bench.spec import ITSELF, Adapter, Cell, ImageSet, ModelRequest, Suite, listed, transfer_source
from bench.store.identity import suite_content
from bench.train.pretrained import PRETRAINED
from bench.train.trainings import trainings
from bench.trust.behaviour import Behaviour

EVERYTHING, DEFAULT = Selection(), Setting()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every cell a run asks for, in order, and what it takes to compute them.

    Attributes:
        suite: with the filters and the number of images applied.
        content: of the suite file, see `suite_content`.
        asked: how much of the suite passed the filters, see `asked_of`.
        cells: cell by key.
        adapters: the models, each loaded once, including those that images are only crafted on.
        images: the images and labels under attack, by image set.
        left_out: in words, what the suite asks for but cannot be run, and why.
        sources: by key of a cell with a fitted attack, what the attack is fitted on.
        substitutes: by key of a cell attacked through a substitute, what that is trained on.
        handed_in: images that others made, by the hash of their content.
        behaviours: the observed behaviour of users' models.
        fingerprints: those of the models under attack.
        sketch: whether the plan is only for display: nothing was trained or embedded for it.
        later: of a sketch, the cells whose keys are not known yet; `cells` does not contain them.
        untrained: names of the models that have to be trained before the keys are known.
        unembedded: names of the models whose training images have to be embedded before that.
        uncombined: titles of the models made of others whose members have to predict images before that.
        broken: by title of a user's model that cannot be attacked, the reason, which `left_out` has too.
        trainings: those that the suite names, see `bench.train.trainings.trainings`.
        data: the data folder; None for the default.
        asked_images: of the cells that were grown (`bench.runner.grown`), by key, how many images the suite
            asks for.
    """

    suite: Suite
    content: str
    asked: dict[str, Any]
    cells: dict[str, Cell]
    adapters: dict[ModelRequest, Adapter]
    images: dict[ImageSet, LabelledImages]
    device: str
    left_out: tuple[str, ...]
    sources: dict[str, FitSource] = field(default_factory=dict)
    substitutes: dict[str, SubstituteSource] = field(default_factory=dict)
    handed_in: dict[str, HandedIn] = field(default_factory=dict)
    sketch: bool = False
    later: tuple[Cell, ...] = ()
    untrained: tuple[str, ...] = ()
    behaviours: dict[ModelRequest, Behaviour] = field(default_factory=dict)
    fingerprints: dict[ModelRequest, str] = field(default_factory=dict)
    unembedded: tuple[str, ...] = ()
    uncombined: tuple[str, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)
    trainings: tuple[dict[str, Any], ...] = ()
    data: str | os.PathLike[str] | None = None
    asked_images: dict[str, int] = field(default_factory=dict)

    def images_of(self, cell: Cell) -> LabelledImages:
        """Return the images and labels of a cell."""
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
    """Return the plan of a suite; models without weights are trained first, in seconds each.

    Args:
        suite: what to run; models that a plug-in registered for its data set join it.
        selection: the models, attacks, toolkits and images to use.
        setting: how and where its cells are computed.
        whole: the suite as in its file, if a command replaced some of its values.
        train: whether to train; else the plan is a `sketch`.
        note: called with each line about trainings and models that a user has to know.

    Raises:
        SpecError: a filter that matches nothing, or a suite that does not fit its models.
        PrerequisiteError: data, weights or a toolkit that is named are missing.
    """
    whole = suite if whole is None else whole
    suite = narrowed(suite, selection)
    requested = asked_of(whole, suite, selection.toolkits, setting.data)
    images = _image_sets(suite, setting.data)
    device = resolve_device(setting.device)
    by_title = {request.title(): request for request in whole.models}
    absent = train_first(_named(suite, by_title), train=train, data=setting.data, note=note)
    loader = Loader(suite=suite, device=device, data=setting.data, train=train, note=note)
    there = [request for request in suite.models if absent.why(weights_of(request)) is None]
    untrainable = {
        request.title(): f"{request.title()}: {absent.why(weights_of(request))}"
        for request in suite.models
        if set(weights_of(request)) & set(absent.broken)
    }
    bereft = _bereft(suite, absent)
    lacking = _lacking(there, loader)
    there = [request for request in there if request.title() not in lacking]
    by_address = [request.title() for request in suite.models if is_address(request.name)]
    unreached = {title: lacking.pop(title) for title in by_address if title in lacking}
    broken = untrainable | unreached | _broken(there, loader, setting)
    sound = tuple(request for request in there if request.title() not in broken)
    suite = dataclasses.replace(suite, models=sound)
    adapters = {request: loader.adapter(request) for request in suite.models}
    inputs = CellInputs(
        suite=suite, by_title=by_title, absent=absent, loaded=loader.adapter,
        fingerprint=loader.fingerprint, images=images, toolkits=selection.toolkits,
        together=lambda request: loader.together(request, setting), setting=setting, note=note,
    )  # fmt: skip
    expanded = make_cells(inputs, adapters)
    died = (f"{name}: {why}" for name, why in absent.died.items() if name not in absent.broken)
    recorded = trainings(suite.trainings)
    left_out = (
        *died, *bereft, *lacking.values(), *broken.values(), *expanded.left_out, *recorded.left_out,
    )  # fmt: skip
    if not expanded.cells:
        reasons = f": {left_out[0]}" if left_out else ""
        raise UnsupportedAttack(f"nothing of suite {suite.name} can be run{reasons}")
    crafted_on = {cell.source().model for cell in expanded.cells.values()}
    waiting = _waiting(adapters, absent.untrained)
    return Plan(
        suite=suite,
        content=suite_content(whole),
        asked=requested,
        cells={key: cell for key, cell in expanded.cells.items() if not is_later(cell)},
        adapters=adapters | {request: loader.adapter(request) for request in crafted_on},
        images=images,
        device=device,
        left_out=left_out,
        sources=expanded.sources,
        substitutes=expanded.substitutes,
        handed_in=expanded.handed_in,
        sketch=not train,
        later=tuple(cell for cell in expanded.cells.values() if is_later(cell)),
        untrained=absent.untrained,
        behaviours=loader.behaviours,
        fingerprints={request: loader.fingerprint(request) for request in suite.models},
        broken=broken,
        trainings=recorded.found,
        data=setting.data,
        # Votes of several k and distances have one embedding.
        unembedded=tuple(dict.fromkeys(model.name for model in waiting if not made_of(model))),
        uncombined=tuple(model.title() for model in waiting if made_of(model)),
    )


def _image_sets(
    suite: Suite, data: str | os.PathLike[str] | None
) -> dict[ImageSet, LabelledImages]:
    """Return the images of every image set that some attack of a suite uses."""
    wanted = [
        images.of(attack.images)
        for attack in suite.attacks
        for images in suite.images
        if any(
            fits(images.data, MODELS[model.name].facts["data"]) and attack.is_on(model)
            for model in suite.models
        )
    ]
    return {images: images_in(images, data) for images in dict.fromkeys(wanted)}


def images_in(wanted: ImageSet, data: str | os.PathLike[str] | None) -> LabelledImages:
    """Return the images and labels of an image set.

    Raises:
        SpecError: the split has fewer.
        PrerequisiteError: the data set is missing.
    """
    labelled = load_set(wanted, data)
    if (wanted.count or 0) > len(labelled):
        of = "the list" if listed(wanted.order) else f"{wanted.data} {wanted.split}"
        raise SpecError(
            f"{wanted.count} images were asked for, {of} has {len(labelled)}; use --images all"
        )
    return labelled.first(wanted.count)


def _waiting(
    adapters: Mapping[ModelRequest, Adapter], untrained: Sequence[str]
) -> list[ModelRequest]:
    """Return the models that do not exist yet though all their weights do."""
    return [
        request
        for request, adapter in adapters.items()
        if isinstance(adapter, Outline) and not set(weights_of(request)) & set(untrained)
    ]


def _bereft(suite: Suite, absent: Absent) -> tuple[str, ...]:
    """Return a line for each model that is made of others and lost one whose training failed."""
    return tuple(
        f"{request.title()}: a member is missing: {absent.why(weights_of(request))}"
        for request in suite.models
        if made_of(request)
        and not set(weights_of(request)) & set(absent.broken)
        and absent.why(weights_of(request)) is not None
    )


def _lacking(requests: Sequence[ModelRequest], loader: Loader) -> dict[str, str]:
    """Return the titles of the models whose published weights cannot be had here, and why.

    Raises:
        PrerequisiteError: there are no others to run.
    """
    errors = {}
    for request in requests:
        if is_address(request.name) or not PRETRAINED.keys().isdisjoint(weights_of(request)):
            try:
                loader.fingerprint(request)
            except PrerequisiteError as error:
                errors[request.title()] = error
            except AdapterError:
                if not is_address(request.name):
                    raise  # else `_broken` says it
    if errors and len(errors) == len(requests):
        raise next(iter(errors.values()))
    return {title: str(error) for title, error in errors.items()}


def _broken(requests: Iterable[ModelRequest], loader: Loader, setting: Setting) -> dict[str, str]:
    """Return the titles of the user's models that cannot be loaded, fingerprinted or attacked, and why.

    The other models run all the same.

    Raises:
        AdapterError: one of Crossfire's own models, whose options in the suite are wrong.
    """
    broken = {}
    for request in requests:
        try:
            loader.fingerprint(request)
            loader.together(request, setting)
        except AdapterError as error:
            if all_ours(request.name, dict(request.options)):
                raise
            of = f"{request.title()}: " if isinstance(error, FamilyError) else ""
            broken[request.title()] = f"{of}{error}"
    return broken


def _named(suite: Suite, by_title: Mapping[str, ModelRequest]) -> Iterator[str]:
    """Yield the names of all models whose weights a suite's cells need."""
    for request in suite.models:
        yield from weights_of(request)
    for attack in suite.attacks:
        if is_fitted(attack.spec.name) and attack.spec.parameter("fitted_on") != ITSELF:
            title = str(attack.spec.parameter("fitted_on"))
            yield from weights_of(by_title.get(title, ModelRequest(name=title)))
        for surface in attack.surfaces or ():
            source = transfer_source(surface)
            if source is not None:
                yield from weights_of(by_title.get(source, ModelRequest(name=source)))

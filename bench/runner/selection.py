"""The part of a suite to run: filters over models, attacks and toolkits, and the number of images."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from bench.addresses.address import is_address
from bench.attacks.toolkits import install_command, installed
from bench.data.table import fits
from bench.errors import PrerequisiteError, SpecError
from bench.model_names import MODELS, check_options
from bench.registry import literal, unknown
from bench.runner.claim_checks import check_settings
from bench.runner.suite import look_up
from bench.runner.suite_claims import check_models
from bench.spec import EVERY_TOOLKIT, ModelRequest, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The part of a suite to run.

    Attributes:
        models: globs over model names; empty for all.
        attacks: globs over attack names; empty for all.
        toolkits: names of toolkits; empty for all.
        images: number of images for every attack in place of the suite's; `all` for all images.
    """

    models: Sequence[str] = ()
    attacks: Sequence[str] = ()
    toolkits: Sequence[str] = ()
    images: int | str | None = None


def narrowed(suite: Suite, selection: Selection) -> Suite:
    """Return the selected part of a suite; models that a plug-in registered for its data sets join it.

    So do those that the selection names by address.

    Raises:
        SpecError: a filter that matches nothing.
        PrerequisiteError: a toolkit that is named is not installed.
    """
    models, attacks, images = selection.models, selection.attacks, selection.images
    for toolkit in selection.toolkits:
        _check_toolkit(toolkit)
    sets = [image_set.data for image_set in suite.images]
    listed = {request.name for request in suite.models}  # with whatever options
    plugged = [
        ModelRequest(name=name)
        for name in MODELS
        if not MODELS[name].facts["ours"]
        and _fits_one(MODELS[name].facts["data"], sets)
        and name not in listed
    ]
    all_models = [*suite.models, *plugged, *_addressed(suite, models)]
    check_models(suite.name, suite.claims, [request.title() for request in all_models])
    check_settings(suite.name, suite.claims, all_models, suite.attacks)
    titles = [name for request in all_models for name in (request.name, request.title())]
    exact = literal(models, titles)
    _check_filters("model", models, exact, titles)
    kept_models = [
        request
        for request in all_models
        if _matches(request.name, exact) or _matches(request.title(), exact)
    ]
    for request in all_models:
        look_up(MODELS.__getitem__, request.name)
        check_options(request.name, dict(request.options))
    _check_filters("attack", attacks, attacks, [attack.spec.name for attack in suite.attacks])
    kept_attacks = [attack for attack in suite.attacks if _matches(attack.spec.name, attacks)]
    # A model that none of the kept attacks is for need not be loaded, let alone trained.
    kept_models = [
        request
        for request in kept_models
        if any(attack.is_on(request) for attack in kept_attacks)
        or not any(attack.is_on(request) for attack in suite.attacks)
    ]
    if not kept_models:
        raise SpecError(f"suite {suite.name} makes none of these attacks on these models")
    sets_used = {MODELS[request.name].facts["data"] for request in kept_models}
    image_sets = [
        image_set
        for image_set in suite.images
        if any(fits(image_set.data, data) for data in sets_used)
    ]
    image_sets = image_sets or list(suite.images)
    if images is not None:
        count = None if images == "all" else int(images)
        image_sets = [dataclasses.replace(image_set, count=count) for image_set in image_sets]
        kept_attacks = [dataclasses.replace(attack, images=None) for attack in kept_attacks]
    return dataclasses.replace(
        suite,
        models=tuple(kept_models),
        attacks=tuple(kept_attacks),
        images=tuple(image_sets),
    )


def _addressed(suite: Suite, named: Sequence[str]) -> list[ModelRequest]:
    """Return the models that are named by address and that the suite does not list.

    Raises:
        SpecError: one of them classifies another data set.
    """
    listed = {request.name for request in suite.models}
    wanted = [name for name in dict.fromkeys(named) if is_address(name) and name not in listed]
    sets = [image_set.data for image_set in suite.images]
    for name in wanted:
        if not _fits_one(MODELS[name].facts["data"], sets):
            raise SpecError(
                f"--model: {name} classifies {MODELS[name].facts['data']}, suite {suite.name} is {', '.join(sets)}"
            )
    return [ModelRequest(name=name) for name in wanted]


def _fits_one(data: str, sets: Sequence[str]) -> bool:
    """Return whether the models of a data set classify the images of one of some data sets."""
    return any(fits(images, data) for images in sets)


def _matches(name: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _check_filters(
    kind: str, texts: Sequence[str], globs: Sequence[str], names: Sequence[str]
) -> None:
    """Raise unless each filter matches something, so that nothing requested is silently dropped."""
    for text, glob in zip(texts, globs, strict=True):
        if not any(_matches(name, [glob]) for name in names):
            error = unknown(f"{kind} in this suite", text, sorted(set(names)))
            raise SpecError(f"--{kind}: {error}")


def _check_toolkit(name: str) -> None:
    if name not in EVERY_TOOLKIT:
        raise unknown("toolkit", name, list(EVERY_TOOLKIT))
    if not installed(name):
        raise PrerequisiteError(f"{name} is not installed; run: {install_command(name)}")

"""From a suite to its cells: models loaded, attacks matched with toolkits, keys computed."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import torch

from bench.adapters.neighbours import NeighboursAdapter
from bench.attacks.catalogue import (
    access,
    available,
    install_command,
    installed,
    is_fitted,
    refusal,
    shortfall,
)
from bench.data.datasets import LabelledImages, load
from bench.data.table import DATASETS
from bench.errors import AdapterError, PrerequisiteError, SpecError, UnsupportedAttack
from bench.registry import unknown
from bench.runner.fits import Source, other_model, source_images
from bench.runner.suite_claims import check_models
from bench.spec import (
    BLACK_BOX_SURFACE,
    ITSELF,
    TOOLKITS,
    Adapter,
    AttackRequest,
    AttackSpec,
    Cell,
    ModelRequest,
    Suite,
    Toolkit,
)
from bench.store.identity import cell_key
from bench.zoo import MODELS, load_model

DEFAULT_BATCH_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every cell a run asks for, in order, and what it takes to compute them.

    Attributes:
        suite: as asked for, with its filters and the number of images applied.
        cells: key to cell.
        adapters: the models, each loaded once.
        images: the images and labels under attack.
        left_out: in words, what the suite asks for that cannot be run, and why.
        sources: key of a cell with a fitted attack to what that is fitted on.
    """

    suite: Suite
    cells: dict[str, Cell]
    adapters: dict[ModelRequest, Adapter]
    images: LabelledImages
    batch_size: int
    device: str
    left_out: tuple[str, ...]
    sources: dict[str, Source] = field(default_factory=dict)


def make_plan(
    suite: Suite,
    *,
    models: Sequence[str] = (),
    attacks: Sequence[str] = (),
    toolkits: Sequence[str] = (),
    images: int | str | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    device: str = "auto",
    data: str | os.PathLike[str] | None = None,
) -> Plan:
    """Return the cells of a suite.

    Args:
        suite: what to run; models a plug-in registered for its data set join it.
        models: globs; only models whose name matches one. None given: all.
        attacks: globs over attack names, likewise.
        toolkits: names of toolkits, likewise.
        images: how many images instead of the suite's; `all` for every one.
        batch_size: images attacked together; part of a cell's identity.
        device: `auto`, `cpu` or `cuda`.
        data: the data folder.

    Raises:
        SpecError: a filter that matches nothing, or a suite that does not fit its models.
        PrerequisiteError: data, weights or a toolkit named in `toolkits` are missing.
    """
    for toolkit in toolkits:
        _check_toolkit(toolkit)
    asked = suite.models
    suite = _narrowed(suite, models, attacks, images)
    found = load(suite.images.data, suite.images.split, data)
    if (suite.images.count or 0) > len(found):
        raise SpecError(
            f"{suite.images.count} images were asked for, {suite.images.data} "
            f"{suite.images.split} has {len(found)}; use --images all"
        )
    subset = found.first(suite.images.count)
    where = resolve_device(device)

    @cache
    def loaded(request: ModelRequest) -> Adapter:
        adapter = load_model(request.name, dict(request.options), device=where, data=data)
        _check_fits(suite, request, adapter)
        return adapter

    adapters = {request: loaded(request) for request in suite.models}
    fits = _Fits(suite, {request.title(): request for request in asked}, loaded, data)
    cells, sources, left_out = _cells(
        suite, adapters, toolkits, subset.checksum(), batch_size, fits
    )
    if not cells:
        reasons = f": {left_out[0]}" if left_out else ""
        raise UnsupportedAttack(f"nothing of suite {suite.name} can be run{reasons}")
    return Plan(
        suite=suite,
        cells=cells,
        adapters=adapters,
        images=subset,
        batch_size=batch_size,
        device=where,
        left_out=left_out,
        sources=sources,
    )


def _check_toolkit(name: str) -> None:
    if name not in TOOLKITS:
        raise unknown("toolkit", name, list(TOOLKITS))
    if not installed(name):
        raise PrerequisiteError(f"{name} is not installed; run: {install_command(name)}")


def _narrowed(
    suite: Suite, models: Sequence[str], attacks: Sequence[str], images: int | str | None
) -> Suite:
    plugged = [
        ModelRequest(name=name)
        for name in MODELS
        if not MODELS[name].facts["recipe"] and MODELS[name].facts["data"] == suite.images.data
    ]
    every = [*suite.models, *(one for one in plugged if one not in suite.models)]
    check_models(suite.name, suite.claims, [one.title() for one in every])
    kept_models = [one for one in every if _matches(one.name, models)]
    if not kept_models:
        raise _nothing("model", models, (one.name for one in every))
    kept_attacks = [one for one in suite.attacks if _matches(one.spec.name, attacks)]
    if not kept_attacks:
        raise _nothing("attack", attacks, (one.spec.name for one in suite.attacks))
    count = suite.images.count
    if images is not None:
        count = None if images == "all" else int(images)
    return dataclasses.replace(
        suite,
        models=tuple(kept_models),
        attacks=tuple(kept_attacks),
        images=dataclasses.replace(suite.images, count=count),
    )


def _matches(name: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _nothing(kind: str, globs: Sequence[str], known: Iterable[str]) -> SpecError:
    names = sorted(set(known))
    error = unknown(f"{kind} in this suite", " ".join(globs), names)
    return SpecError(f"--{kind}: {error}")


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
    data = DATASETS[suite.images.data]
    registered = MODELS[request.name].facts["data"]
    if registered != data.name:
        raise SpecError(
            f"{request.name} classifies {registered}, suite {suite.name} is {data.name}"
        )
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
    if isinstance(adapter, NeighboursAdapter):
        bank = adapter.bank
        if (bank.data, bank.split) == (suite.images.data, suite.images.split):
            raise SpecError(
                f"{request.title()} remembers the images of {bank.title()}, which suite {suite.name} "
                "attacks; attack another split"
            )


class _Fits(NamedTuple):
    """How to come by what perturbations are fitted on.

    Attributes:
        known: the suite's models by title, those a filter leaves out included.
        loaded: loads a model, each once.
        data: the data folder.
    """

    suite: Suite
    known: Mapping[str, ModelRequest]
    loaded: Callable[[ModelRequest], Adapter]
    data: str | os.PathLike[str] | None

    def source(self, spec: AttackSpec, adapter: Adapter, surface: str) -> Source:
        """Return what an attack is fitted on."""
        images = source_images(spec, self.suite.images, self.data)
        return Source(adapter=adapter, surface=surface, images=images)

    def named(self, name: str) -> Adapter:
        """Return the model of a name, loaded."""
        return self.loaded(self.known.get(name, ModelRequest(name=name)))


def _cells(
    suite: Suite,
    adapters: dict[ModelRequest, Adapter],
    toolkits: Sequence[str],
    checksum: str,
    batch_size: int,
    fits: _Fits,
) -> tuple[dict[str, Cell], dict[str, Source], tuple[str, ...]]:
    """Return the cells by key, model by model, what is fitted for them, and what was left out."""
    left_out: dict[str, None] = {}  # an ordered set
    runners = [(attack, tuple(_runners(attack, toolkits, left_out))) for attack in suite.attacks]
    cells: dict[str, Cell] = {}
    sources: dict[str, Source] = {}
    for request, adapter in adapters.items():
        fingerprint = adapter.fingerprint()
        for attack, able in runners:
            for spec, surface, source in _ways(attack, request, adapter, fits, left_out):
                fit = None if source is None else source.named()
                for toolkit in able:
                    cell = Cell(
                        model=request,
                        fingerprint=fingerprint,
                        attack=spec,
                        toolkit=toolkit,
                        surface=surface,
                        images=suite.images,
                        checksum=checksum,
                        seed=suite.seed,
                        batch_size=batch_size,
                        fit=fit,
                    )
                    key = cell_key(cell)
                    cells[key] = cell
                    if source is not None:
                        sources[key] = source
    return cells, sources, tuple(left_out)


def _ways(
    attack: AttackRequest,
    request: ModelRequest,
    adapter: Adapter,
    fits: _Fits,
    left_out: dict[str, None],
) -> Iterator[tuple[AttackSpec, str, Source | None]]:
    """Yield the attack, the surface and what is fitted on, of each cell that a toolkit gets.

    Of a perturbation fitted on another model the one under attack shows nothing: it is a black box.
    """
    spec = attack.spec
    if not is_fitted(spec.name):
        yield from ((spec, name, None) for name in _surfaces(attack, request, adapter, left_out))
        return
    other = other_model(spec, request)
    if other is not None:
        model, title = fits.named(other), ModelRequest(name=other)
        for name in tuple(_surfaces(attack, title, model, left_out))[:1]:
            yield spec, BLACK_BOX_SURFACE, fits.source(spec, model, name)
        return
    # Named or not, the model itself makes the same cell.
    spec = dataclasses.replace(
        spec, words=tuple(sorted({**dict(spec.words), "fitted_on": ITSELF}.items()))
    )
    for name in _surfaces(attack, request, adapter, left_out):
        yield spec, name, fits.source(spec, adapter, name)


def _runners(
    attack: AttackRequest, wanted: Sequence[str], left_out: dict[str, None]
) -> Iterator[Toolkit]:
    """Yield the toolkits that run an attack.

    Raises:
        UnsupportedAttack: the suite names a toolkit that does not have the attack or cannot honour
            one of its words. Where it names none, such a toolkit is left out, and that is said.
    """
    spec = attack.spec
    for toolkit in attack.toolkits or available(spec.name, spec.norm):
        if wanted and toolkit not in wanted:
            continue
        why = refusal(spec, toolkit)
        if why is not None:
            if attack.toolkits is not None:
                raise UnsupportedAttack(why)
            left_out[why] = None
        elif (lacking := shortfall(spec.name, toolkit)) is not None:
            left_out[lacking] = None
        else:
            yield toolkit


def _surfaces(
    attack: AttackRequest, request: ModelRequest, adapter: Adapter, left_out: dict[str, None]
) -> Sequence[str]:
    if access(attack.spec.name) != "white":
        return (BLACK_BOX_SURFACE,)
    offered = adapter.surfaces()
    if not offered:
        left_out[
            f"{request.title()} has no gradient: {attack.spec.name} and other white-box attacks "
            f"do not reach it"
        ] = None
        return ()
    if attack.surfaces is None:
        return tuple(offered)
    for name in attack.surfaces:
        if name not in offered:
            left_out[f"{request.title()} has no surface {name!r}; it has {', '.join(offered)}"] = (
                None
            )
    return tuple(name for name in attack.surfaces if name in offered)

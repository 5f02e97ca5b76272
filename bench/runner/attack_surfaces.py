"""The surfaces through which an attack is made on a model: its own, substitutes, and those of other models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.attacks.catalogue import access, is_external, row_kind
from bench.data.table import fits
from bench.model_names import MODELS
from bench.runner.cell_inputs import CellInputs
from bench.runner.kinds import KINDS
from bench.runner.substitutes import other_split
from bench.runner.task import whole_surface
from bench.spec import (
    BLACK_BOX_SURFACE,
    HANDED_IN_SURFACE,
    Adapter,
    AttackRequest,
    ModelRequest,
    SubstituteName,
    transfer_source,
)


def surfaces_under(
    attack: AttackRequest,
    request: ModelRequest,
    adapter: Adapter,
    inputs: CellInputs,
    left_out: dict[str, None],
) -> Sequence[str]:
    """Return the surfaces through which an attack is made on a model; those not its own where asked for."""
    refused = KINDS[row_kind(attack.spec.name).name].refuses(adapter)
    if refused is not None:
        left_out[f"{request.title()} {refused}"] = None
        return ()
    if is_external(attack.spec.name):
        return (HANDED_IN_SURFACE,)
    if access(attack.spec.name) == "whole":
        return (whole_surface(adapter),)
    if access(attack.spec.name) != "white":
        return (BLACK_BOX_SURFACE,)
    offered, wanted = adapter.surfaces(), attack.surfaces
    elsewhere = tuple(_elsewhere(attack, request, adapter, inputs, left_out))
    if not offered and not any(is_elsewhere(name) for name in wanted or ()):
        left_out[
            f"{request.title()} has no gradient: {attack.spec.name} and other white-box attacks "
            f"do not reach it"
        ] = None
        return ()
    if wanted is None:
        return tuple(offered)
    there = {*offered, *elsewhere}
    for name in wanted:
        if name not in there and not is_elsewhere(name):
            has = ", ".join(offered) or "none"
            left_out[f"{request.title()} has no surface {name!r}; it has {has}"] = None
    return tuple(name for name in wanted if name in there)


def is_elsewhere(surface: str) -> bool:
    """Return whether a surface is not of the model under attack: a substitute's, or another model's."""
    return SubstituteName.read(surface) is not None or transfer_source(surface) is not None


def _elsewhere(
    attack: AttackRequest,
    request: ModelRequest,
    adapter: Adapter,
    inputs: CellInputs,
    left_out: dict[str, None],
) -> Iterator[str]:
    """Yield the surfaces that an attack names and that are not the model's own, so far as they are to be had."""
    attacked = inputs.image_set(adapter, None)
    for name in attack.surfaces or ():
        source = transfer_source(name)
        if SubstituteName.read(name) is not None:
            if other_split(attacked) is not None:
                yield name
                continue
            why = "has no other split, whose images a substitute could ask about"
            left_out[f"{attacked.data} {why}"] = None
        elif source is not None and source != request.title():
            other = inputs.named(source)
            if not fits(attacked.data, MODELS[other.name].facts["data"]):
                continue  # a suite of several data sets
            absence = inputs.why_no_source(other)
            if absence is None:
                yield name
            else:
                left_out[f"images of {source}: {absence}"] = None

"""What attacks need from a model's images and classes, checked before they run.

Nothing here imports torch or a toolkit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bench.attacks.catalogue import parameter, row_of
from bench.attacks.members import read_members
from bench.attacks.row import Need, NeedKind
from bench.spec import AttackSpec, Toolkit, number, whole

Shape = tuple[int, int, int]


def unmet(spec: AttackSpec, toolkit: Toolkit, shape: Shape, classes: int) -> str | None:
    """Return what an attack needs that a model lacks, and what to do; None if it can run.

    Args:
        spec: the attack.
        toolkit: the toolkit that runs it.
        shape: (C, H, W) of the model's images.
        classes: how many classes the model has.
    """
    named = {"targeted": spec.targeted, "source": spec.source}
    for name, value in named.items():
        wanted_class = whole(str(value))
        if wanted_class is not None and wanted_class >= classes:
            return (
                f"{spec.name} {name}={value}: the model has no class {value}; its classes are 0 to "
                f"{classes - 1}"
            )
    whose = f"{toolkit}'" if toolkit.endswith("s") else f"{toolkit}'s"
    for need in row_of(spec.name).needs:
        if toolkit not in (need.toolkit or toolkit,) or spec.norm not in (need.norm or spec.norm,):
            continue
        if need.flag is not None and not parameter(spec, need.flag):
            continue
        why = _CHECKS[need.kind](need, spec, shape, classes)
        if why is not None:
            return f"{whose} {spec.name} {why}"
    members = dict(spec.parameters).get("members")
    if members is not None:
        for member, kit in read_members(members, spec.norm, spec.eps):
            why = unmet(member, kit, shape, classes)
            if why is not None:
                return f"{whose} {spec.name}: {why}"
    return None


def _classes(need: Need, spec: AttackSpec, shape: Shape, classes: int) -> str | None:
    if classes >= need.least:
        return None
    return (
        f"{need.why}: the model has {classes} classes, {need.least} are needed"
        f"{need.instead and f'; {need.instead}'}"
    )


def _candidates(need: Need, spec: AttackSpec, shape: Shape, classes: int) -> str | None:
    candidates = spec.parameter("candidates")
    if candidates >= classes:
        return None
    return (
        f"{need.why}: candidates={candidates} is fewer than the model's {classes}; set "
        f"candidates={classes} or use another toolkit"
    )


def _square(need: Need, spec: AttackSpec, shape: Shape, classes: int) -> str | None:
    height, width = shape[1:]
    if height == width >= need.least:
        return None
    if height != width:
        return f"{need.why} square images only, not {height} by {width}"
    return f"{need.why} images of {need.least} pixels a side or more, not {height} by {width}"


def _room(need: Need, spec: AttackSpec, shape: Shape, classes: int) -> str | None:
    """Return why Square's first square does not fit into an image; None if it does."""
    height, width = shape[1:]
    share = number(dict(spec.parameters).get("p_init", "0.8"))
    side = max(1, round(math.sqrt(share * height * width)))
    if need.kind == "odd-square":
        side = max(3, side) | 1
    if side + need.least <= min(height, width) and min(height, width) >= need.side:
        return None
    return (
        f"{need.why} a square of {side} by {side} pixels, for which images of {height} by {width} "
        f"have no room; {need.instead}"
    )


def _pairs(need: Need, spec: AttackSpec, shape: Shape, classes: int) -> str | None:
    gamma, values = spec.amount("gamma"), math.prod(shape)
    if pairs(spec, values):
        return None
    least = 2 / values
    if least > 1:
        return f"{need.why}: images of a single value have none"
    return f"{need.why}, so gamma must lie between {least:.4g} and 1 here (gamma={gamma:g} was asked for)"


def pairs(spec: AttackSpec, values: int) -> int:
    """Return how many pairs of an image's values JSMA may change, rounded down as in its paper."""
    return int(spec.amount("gamma") * values / 2 + 1e-9)


_CHECKS: Mapping[NeedKind, Callable[[Need, AttackSpec, Shape, int], str | None]] = {
    "classes": _classes,
    "candidates": _candidates,
    "square-images": _square,
    "square": _room,
    "odd-square": _room,
    "pairs": _pairs,
}

"""Questions about the attack table (`bench.attacks.rows`): what exists, where, with which parameters.

Nothing here imports torch or a toolkit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.attacks.row import Attack, Parity
from bench.attacks.rows import ATTACKS, EXTERNAL, MEASUREMENTS
from bench.attacks.toolkits import remedy
from bench.attacks.values import goal_parameters, norm_of, parameter_value, radius_text
from bench.errors import SpecError
from bench.registry import load_installed, unknown
from bench.spec import (
    EVERY_TOOLKIT,
    FIXED,
    MINIMAL,
    AttackSpec,
    Goal,
    ImageSet,
    Norm,
    RowKind,
    Scalar,
    Toolkit,
    row_kind_named,
)

#: Names in the list of attacks for kinds of rows that are called differently there.
_LISTED_AS = {"certify": "certificate"}

#: Parameters that an attack may be given even if it has none of that name: the value that changes
#: nothing, and why it refuses any other.
_COMMON: Mapping[str, tuple[Scalar, str]] = {
    "targeted": ("none", "cannot be targeted"),
    "random_start": (False, "has no random start"),
    "restarts": (1, "has no restarts, since they would repeat one another"),
    "eot": (1, "takes one gradient a step"),
}


def row_of(name: str) -> Attack:
    """Return the row of an attack.

    Raises:
        SpecError: no such attack.
    """
    row = _known(name)
    if row is None and load_installed():
        row = _known(name)
    if row is None:
        raise unknown("attack", name, [*ATTACKS, EXTERNAL.name, *MEASUREMENTS])
    return row


def _known(name: str) -> Attack | None:
    return EXTERNAL if is_external(name) else ATTACKS.get(name) or MEASUREMENTS.get(name)


def resolve(
    name: str,
    norm: str,
    eps: float | str | None = None,
    parameters: Mapping[str, Scalar] | None = None,
) -> AttackSpec:
    """Return a checked attack with canonical parameters and every default written out.

    Parameters that were added later (`Parameter.later`) are left out at their default. Amounts are kept as exact text (`8/255`, `0.5`), so that equal requests are equal specs and equal cells.

    Args:
        name: an attack of the catalogue.
        norm: the norm of its threat.
        eps: the radius in pixel units of [0, 1]; None for a minimal-norm attack.
        parameters: the parameters that differ from their defaults.

    Raises:
        SpecError: an unknown attack, norm or parameter (the message names similar ones), or a value
            out of range.
    """
    attack = row_of(name)
    known_norm = norm_of(attack, norm)
    radius = radius_text(attack, known_norm, eps)
    requested = dict(parameters or {})
    for parameter, (default, reason) in _COMMON.items():
        # To say `targeted=none` for an attack that cannot be targeted is true, so it is allowed.
        if parameter not in attack.parameters and requested.pop(parameter, default) != default:
            raise SpecError(f"{name} {reason}; leave `{parameter}` out")
    goal, source = requested.pop("goal", None), requested.pop("source", None)
    for parameter in requested:
        if parameter not in attack.parameters:
            raise unknown(f"parameter of {name}", parameter, [*attack.parameters, "goal", "source"])
    values = {
        parameter: _members(requested.get(parameter, rule.default), known_norm, radius)
        if rule.kind == "members"
        else parameter_value(
            f"{name}: {parameter}", rule, requested.get(parameter, rule.default), radius
        )
        for parameter, rule in attack.parameters.items()
    }
    if values.get("restarts", 1) != 1 and values.get("random_start") is False:
        raise SpecError(
            f"{name}: restarts without a random start repeat one another; leave one out"
        )
    if attack.check is not None:
        attack.check(values)
    for parameter, default in _later(attack).items():
        if values[parameter] == default:
            del values[parameter]
    values |= goal_parameters(attack, goal, source, str(values.get("targeted", "none")))
    return AttackSpec(
        name=name, norm=known_norm, eps=radius, parameters=tuple(sorted(values.items()))
    )


def _members(value: object, norm: Norm, eps: str | None) -> str:
    """Return the members of a cascade as one text, each resolved by this table."""
    from bench.attacks.members import read_members, written  # which asks this module

    return written(read_members(value, norm, eps))


def _later(attack: Attack) -> dict[str, Scalar]:
    """Return the parameters that were added later, each with its default."""
    return {
        name: parameter_value(f"{attack.name}: {name}", rule, rule.default, None)
        for name, rule in attack.parameters.items()
        if rule.later
    }


def every_parameter(name: str, parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the parameters of an attack, including those left out at their default (`Parameter.later`).

    Those of an attack that is not known are as they are: of a user's, whose plug-in is not named when results
    are read.

    Args:
        name: of the attack.
        parameters: those of an `AttackSpec` or of a stored cell.
    """
    row = _known(name)
    return dict(parameters) if row is None else _later(row) | dict(parameters)


def parameter(spec: AttackSpec, name: str) -> Any:
    """Return the value of one parameter, or its default if it is left out of the attack.

    Raises:
        KeyError: the attack has no such parameter.
    """
    return every_parameter(spec.name, dict(spec.parameters))[name]


def available(name: str, norm: str) -> tuple[Toolkit, ...]:
    """Return the toolkits that have an attack for a norm.

    Raises:
        SpecError: no such attack, or not for this norm.
    """
    attack = row_of(name)
    return attack.norms[norm_of(attack, norm)]


def unnamed(name: str, norm: str) -> tuple[Toolkit, ...]:
    """Return the toolkits that run an attack where none is named.

    Raises:
        SpecError: no such attack, or not for this norm.
    """
    on_request, having = row_of(name).on_request, available(name, norm)
    return tuple(kit for kit in having if kit not in on_request) or having


def refusal(spec: AttackSpec, toolkit: Toolkit) -> str | None:
    """Return why a toolkit cannot run an attack as requested, naming both; None if it can.

    What depends on the model (such as DeepFool with fewer candidates than classes) is checked in
    `bench.attacks.needs`.
    """
    attack = row_of(spec.name)
    if toolkit not in EVERY_TOOLKIT:
        return str(unknown("toolkit", toolkit, list(EVERY_TOOLKIT)))
    if toolkit not in attack.norms.get(spec.norm, ()):
        reason = attack.absent.get(toolkit)
        return f"{toolkit} has no {spec.name} for {spec.norm}" + (f": {reason}" if reason else "")
    for entry in attack.refusals:
        if entry.toolkit != toolkit or entry.norm not in (None, spec.norm):
            continue
        value = parameter(spec, entry.parameter)
        if value != entry.only:
            return (
                f"{toolkit}'s {spec.name} {entry.reason} ({entry.parameter}={value} was asked for)"
            )
    return None


def is_minimal(name: str) -> bool:
    """Return whether an attack searches for the nearest adversarial image instead of taking a radius."""
    return row_of(name).minimal


def is_fitted(name: str) -> bool:
    """Return whether an attack is fitted on other images before it is applied to those attacked."""
    return "fit" in row_of(name).parameters


def is_external(name: str) -> bool:
    """Return whether it is no attack to be made, but images that others made."""
    return name == EXTERNAL.name


def is_evidence(name: str) -> bool:
    """Return whether withstanding an attack is evidence that an image is robust under its threat."""
    return name not in ATTACKS or ATTACKS[name].evidence


def fit_images(spec: AttackSpec, data: str) -> ImageSet:
    """Return the images of a data set that an attack is fitted on."""
    split, count = str(spec.parameter("fit")).split()
    return ImageSet(data=data, split=split, count=int(count))


def access(name: str) -> str:
    """Return what an attack uses of a model, see `Attack.access`."""
    return row_of(name).access


def row_kind(name: str) -> RowKind:
    """Return the kind of an attack's rows."""
    return row_kind_named(row_of(name).rows)


def listing() -> list[dict[str, Any]]:
    """Return one dictionary per attack, for tables and `--json`; see `record`."""
    return [record(attack) for attack in (*ATTACKS.values(), EXTERNAL)]


def record(attack: Attack) -> dict[str, Any]:
    """Return the facts of an attack, as plain JSON values.

    `where` holds the norms for each toolkit that has the attack; `on_request` those that run it only if a suite
    names them, or in a norm that no other has; `absent` why a toolkit that seems to
    have it does not (at all, or for a norm); `unavailable` the command that installs what a toolkit
    lacks. `kind` is `fixed` or `minimal`, or the kind of rows for a measurement that attacks nothing.
    """
    kind = row_kind_named(attack.rows)
    where = {kit: norms for kit in EVERY_TOOLKIT if (norms := _norms_of(attack, kit))}
    return {
        "name": attack.name,
        "norms": list(attack.norms),
        "toolkits": list(where),
        "kind": attacking_kind(attack) if kind.attacks else _LISTED_AS.get(kind.name, kind.name),
        "access": attack.access,
        "targeted": "targeted" in attack.parameters,
        "goals": _goals(attack) if kind.attacks else [],
        "note": attack.note,
        "where": where,
        "on_request": list(attack.on_request),
        "absent": dict(attack.absent),
        "unavailable": {kit: command for kit in where if (command := remedy(attack, kit))},
    }


def attacking_kind(attack: Attack) -> str:
    """Return whether an attack takes a radius (`fixed`) or searches for the nearest image (`minimal`)."""
    return MINIMAL if attack.minimal else FIXED


def _goals(attack: Attack) -> list[Goal]:
    aimed: tuple[Goal, ...] = (
        ("targeted", "source-target") if "targeted" in attack.parameters else ()
    )
    reduced: tuple[Goal, ...] = () if attack.irreducible else ("confidence-reduction",)
    return ["misclassification", *aimed, *reduced]


def _norms_of(attack: Attack, toolkit: Toolkit) -> list[str]:
    return [norm for norm, toolkits in attack.norms.items() if toolkit in toolkits]


def optional() -> dict[str, list[tuple[str, Toolkit]]]:
    """Return the packages that some attacks need besides their toolkit, and those attacks."""
    needed_by: dict[str, list[tuple[str, Toolkit]]] = {}
    for attack in ATTACKS.values():
        for toolkit, package in attack.packages.items():
            needed_by.setdefault(package, []).append((attack.name, toolkit))
    return needed_by


def expected_parity(spec: AttackSpec, left: Toolkit, right: Toolkit) -> Parity:
    """Return how closely two toolkits must agree on an attack, and why not more closely.

    For the class `norm`, `low` and `high` bound the ratio of left's median norm to right's.

    Raises:
        SpecError: the catalogue has no entry for this pair.
    """
    for entry in row_of(spec.name).parity:
        if entry.norm not in (None, spec.norm) or entry.toolkit not in (None, left, right):
            continue
        if entry.pair in (None, (left, right)):
            return entry.parity
        if entry.pair == (right, left):
            return entry.parity.swapped()
    raise SpecError(f"no parity of {left} and {right} is on record for {spec.title()}")

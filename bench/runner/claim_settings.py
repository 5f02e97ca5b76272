"""What a `[[claims]]` table about perturbations compares, checked against the attacks of the suite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.attacks.catalogue import every_parameter, is_fitted, is_minimal, row_of
from bench.attacks.values import parameter_value
from bench.errors import SpecError
from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.registry import unknown
from bench.spec import (
    EVERY_TOOLKIT,
    NORMS,
    AttackRequest,
    Claim,
    Figure,
    Norm,
    Setting,
    eps_text,
    number,
)

if TYPE_CHECKING:
    from bench.runner.suite_claims import ClaimTable
    from bench.trust.claim_measures.registry import ClaimMeasure

Side = Literal["left", "right"]
_SIDES: tuple[Side, ...] = ("left", "right")
#: Fields that say something of both sides, or with `left_` or `right_` before them of one.
_OF_SIDES = ("attacks", "norm", "eps", "figure")
#: What `with` may name beside the parameters of an attack.
_BATCH_SIZE, _TOOLKIT = "batch_size", "toolkit"
#: Figures that can be compared with each other, as tests go.
_ALIKE = {"share of fit": "share", "reduction": "mean"}
#: Kinds of figures that only attacks have that are fitted on other images.
_OF_FITS = ("share of fit", "fact of fit")
_SAY_APART = "say in what they differ (left_figure and right_figure, left_eps and right_eps, ...)"


def is_about_perturbations(table: ClaimTable, measure: ClaimMeasure) -> bool:
    """Return whether a claim compares figures of perturbations, which its measure may do."""
    figures = [table.figure, table.left_figure, table.right_figure]
    named = [name for name in figures if name is not None and name not in get_args(Figure)]
    return measure.of_perturbations and (bool(named) or not measure.of_radii)


def claim_of_perturbations(
    table: ClaimTable, measure: ClaimMeasure, attacks: Sequence[AttackRequest], where: str
) -> Claim:
    """Return the claim of a table about figures of perturbations.

    Args:
        table: from the file.
        measure: that it names.
        attacks: of the suite.
        where: the file and the table, for messages.

    Raises:
        SpecError: fields that contradict each other, or attacks that the suite does not have.
    """
    _check_sides(table, measure, where)
    sides = _SIDES if table.bound is None else _SIDES[:1]
    said = {side: _said(table, side, where) for side in sides}
    settings = []
    for entry in _entries(said, where):
        made = [_setting(entry[side], side, attacks, where) for side in sides]
        settings.append((made[0], made[1] if len(made) > 1 else None))
    if measure.orders and len(settings) > 1:
        raise SpecError(f"{where}: models are ordered once; write one value in place of a list")
    if not measure.orders:
        _check_figures(settings[0], where)
    if table.bound is not None:
        _check_bound(table.bound, settings[0][0], where)
    if table.right is None and any(one == other for one, other in settings):
        raise SpecError(f"{where}: both sides are the same; {_SAY_APART}")
    left, right = settings[0]
    return Claim(
        says=table.says,
        left=table.left,
        right=table.right,
        attacks=(left.attack,),
        right_attacks=None if right is None or right.attack == left.attack else (right.attack,),
        surfaces=None if table.surfaces is None else tuple(table.surfaces),
        norm=left.norm,
        eps=tuple(dict.fromkeys(pair[0].eps for pair in settings if pair[0].eps is not None)),
        expect=table.expect,
        within=table.within,
        measure=table.measure,
        settings=tuple(settings),
        bound=table.bound,
    )


def _check_sides(table: ClaimTable, measure: ClaimMeasure, where: str) -> None:
    """Raise if it is not clear what is compared with what."""
    if table.right is not None and measure.orders:
        raise SpecError(f"{where}.right: the models of `left` are ordered; leave it out")
    bounded = "bound" in table.expect
    if bounded != (table.bound is not None):
        why = "with expect = 'left > bound' or 'left < bound'"
        raise SpecError(f"{where}.bound: a number goes {why}, and with these alone")
    of_right = [name for name in ("right", *_right_fields()) if _given(table, name) is not None]
    if bounded and of_right:
        raise SpecError(f"{where}.{of_right[0]}: the left is compared with a bound; leave it out")
    apart = [name for name in _left_fields() if _given(table, name) is not None] or of_right
    if not (bounded or measure.orders or table.right is not None or apart):
        raise SpecError(
            f"{where}.right: this field is missing; it may be left out only against a bound, or if the "
            "sides differ in attack, norm, eps, figure or parameters (left_eps and right_eps, ...)"
        )


def _left_fields() -> list[str]:
    return [f"left_{name}" for name in (*_OF_SIDES, "with")]


def _right_fields() -> list[str]:
    return [f"right_{name}" for name in (*_OF_SIDES, "with")]


def fields_of_perturbations(table: ClaimTable) -> list[str]:
    """Return the fields of a table that only claims about perturbations have."""
    shared_with_others = ("left_attacks", "right_attacks")
    names = [*_left_fields(), *_right_fields(), "with", "bound"]
    return [
        name for name in names
        if name not in shared_with_others and _given(table, name) is not None
    ]  # fmt: skip


def _given(table: ClaimTable, name: str) -> Any:
    return getattr(table, "with_" if name == "with" else name)


def _said(table: ClaimTable, side: Side, where: str) -> dict[str, Any]:
    """Return what a table says of one side, by field; parameters as `with.NAME`."""
    said: dict[str, Any] = {}
    for name in _OF_SIDES:
        both, own = _given(table, name), _given(table, f"{side}_{name}")
        apart = [f"{one}_{name}" for one in _SIDES]
        if both is not None and any(_given(table, field) is not None for field in apart):
            raise SpecError(f"{where}: write {name}, or {' and '.join(apart)}, not both")
        said[name] = own if both is None else both
    if said["figure"] is None:
        raise SpecError(
            f"{where}.figure: this field is missing; write one of {', '.join(PERTURBATION_FIGURES)}"
        )
    if not said["attacks"] or len(said["attacks"]) > 1:
        raise SpecError(f"{where}.attacks: name one attack for each side of such a claim")
    said["attacks"] = said["attacks"][0]
    parameters = dict(_given(table, "with") or {})
    for name, value in (_given(table, f"{side}_with") or {}).items():
        if name in parameters:
            raise SpecError(f"{where}.{side}_with: `with` says {name} already; leave one out")
        parameters[name] = value
    return said | {f"with.{name}": value for name, value in parameters.items()}


def _entries(
    said: Mapping[Side, Mapping[str, Any]], where: str
) -> list[dict[Side, dict[str, Any]]]:
    """Return what is said of the sides for each comparison: lists are gone through together."""
    lists = {
        len(value): name
        for of_side in said.values()
        for name, value in of_side.items()
        if isinstance(value, list)
    }
    if 0 in lists:
        raise SpecError(f"{where}: {lists[0]} is an empty list; write a value, or leave it out")
    if len(lists) > 1:
        told = ", ".join(f"{name} {count}" for count, name in lists.items())
        raise SpecError(f"{where}: lists are gone through together, but their lengths are {told}")
    return [
        {
            side: {
                name: value[turn] if isinstance(value, list) else value
                for name, value in of_side.items()
            }
            for side, of_side in said.items()
        }
        for turn in range(next(iter(lists), 1))
    ]


def _setting(
    said: Mapping[str, Any], side: Side, attacks: Sequence[AttackRequest], where: str
) -> Setting:
    """Return one side of a comparison, which the suite must have."""
    figure = str(said["figure"])
    if figure not in PERTURBATION_FIGURES:
        raise SpecError(f"{where}.figure: {unknown('figure', figure, list(PERTURBATION_FIGURES))}")
    name, norm = str(said["attacks"]), said["norm"]
    of_name = [attack for attack in attacks if attack.spec.name == name]
    if not of_name:
        there = sorted({attack.spec.name for attack in attacks})
        raise SpecError(f"{where}.attacks: {unknown('attack in this suite', name, there)}")
    norm = _norm(norm, of_name, where)
    of_norm = [attack for attack in of_name if attack.spec.norm == norm]
    eps = _eps(said["eps"], of_norm, where)
    given = {
        field.removeprefix("with."): value
        for field, value in said.items()
        if field.startswith("with.")
    }
    batch_size, toolkit = given.pop(_BATCH_SIZE, None), given.pop(_TOOLKIT, None)
    if toolkit is not None and toolkit not in EVERY_TOOLKIT:
        raise SpecError(f"{where}.with: {unknown('toolkit', str(toolkit), list(EVERY_TOOLKIT))}")
    if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
        raise SpecError(f"{where}.with: batch_size {batch_size!r}: write a whole number from 1")
    if PERTURBATION_FIGURES[figure].kind in _OF_FITS and not is_fitted(name):
        raise SpecError(f"{where}.figure: {figure} is of attacks that are fitted; {name} is not")
    parameters = {field: _value(name, field, value, eps, where) for field, value in given.items()}
    setting = Setting(
        attack=name, norm=norm, eps=eps, parameters=tuple(sorted(parameters.items())),
        batch_size=batch_size, toolkit=toolkit, figure=figure,
    )  # fmt: skip
    if not any(fits(attack, setting) for attack in of_norm):
        raise SpecError(f"{where}.with: {_absent(setting, of_norm)}")
    return setting


def _norm(wanted: Norm | None, attacks: Sequence[AttackRequest], where: str) -> Norm:
    name = attacks[0].spec.name
    there = [norm for norm in NORMS if norm in {attack.spec.norm for attack in attacks}]
    if wanted is None and len(there) > 1:
        raise SpecError(f"{where}.norm: this field is missing; {name} has {', '.join(there)}")
    if wanted is not None and wanted not in there:
        raise SpecError(
            f"{where}.norm: the suite has no {name} {wanted}; it has {', '.join(there)}"
        )
    return wanted or there[0]


def _eps(wanted: Any, attacks: Sequence[AttackRequest], where: str) -> str | None:
    """Return the radius as the suite writes it; None for an attack of minimal norm."""
    spec = attacks[0].spec
    if is_minimal(spec.name):
        if wanted is not None:
            raise SpecError(f"{where}.eps: {spec.name} takes no radius; leave it out for its side")
        return None
    radii = ", ".join(dict.fromkeys(eps_text(attack.spec.radius) for attack in attacks))
    if wanted is None:
        raise SpecError(f"{where}.eps: this field is missing; {spec.name} {spec.norm} has {radii}")
    radius = number(str(wanted), f"{where}.eps")
    for attack in attacks:
        if attack.spec.radius == radius:
            return attack.spec.eps
    raise SpecError(
        f"{where}.eps: the suite has no {spec.name} {spec.norm} {wanted}; it has {radii}"
    )


def _value(attack: str, name: str, value: Any, eps: str | None, where: str) -> Any:
    """Return the value of a parameter as the catalogue writes it."""
    known = row_of(attack).parameters
    if name not in known:
        there = [*known, _BATCH_SIZE, _TOOLKIT]
        raise SpecError(f"{where}.with: {unknown(f'parameter of {attack}', name, there)}")
    return parameter_value(f"{where}.with: {attack}: {name}", known[name], value, eps)


def fits(attack: AttackRequest, setting: Setting) -> bool:
    """Return whether an attack of a suite is the one that a setting means, or may be."""
    spec = attack.spec
    if (spec.name, spec.norm, spec.eps) != (setting.attack, setting.norm, setting.eps):
        return False
    every = every_parameter(spec.name, dict(spec.parameters))
    return (
        dict(setting.parameters).items() <= every.items()
        and setting.batch_size in (None, attack.batch_size)
        and (setting.toolkit is None or setting.toolkit in (attack.toolkits or EVERY_TOOLKIT))
    )


def _absent(setting: Setting, attacks: Sequence[AttackRequest]) -> str:
    """Return which value of a setting no attack of the suite has."""
    called = f"{setting.attack} {setting.norm}" + (f" {setting.eps}" if setting.eps else "")
    at = [attack for attack in attacks if attack.spec.eps == setting.eps]
    for name, value in setting.parameters:
        there = [every_parameter(attack.spec.name, dict(attack.spec.parameters)) for attack in at]
        values = list(dict.fromkeys(str(parameters.get(name)) for parameters in there))
        if str(value) not in values:
            return f"no {called} of the suite has {name} {value}; it has {', '.join(values)}"
    sizes = [attack.batch_size for attack in at if attack.batch_size is not None]
    kits = [kit for attack in at for kit in attack.toolkits or EVERY_TOOLKIT]
    for name, one, known in (
        (_BATCH_SIZE, setting.batch_size, sizes), (_TOOLKIT, setting.toolkit, kits),
    ):  # fmt: skip
        values = list(dict.fromkeys(map(str, known)))
        if one is not None and str(one) not in values:
            has = f"it has {', '.join(values)}" if values else "it names none"
            return f"no {called} of the suite has {name} {one}; {has}"
    return f"no {called} of the suite has all of this at once"


def _check_figures(pair: tuple[Setting, Setting | None], where: str) -> None:
    """Raise if two figures cannot be compared."""
    names = [setting.figure for setting in pair if setting is not None]
    figures = [PERTURBATION_FIGURES[name] for name in names]
    for figure in figures:
        if figure.name == "fooling_reduction":  # of a few images, whose error no formula here gives
            raise SpecError(
                f"{where}.figure: {figure.name} cannot be tested; compare fooling with unclipped_fooling"
            )
    kinds = {(_ALIKE.get(figure.kind, figure.kind), figure.unit) for figure in figures}
    if len(kinds) > 1:
        raise SpecError(f"{where}.figure: {' and '.join(names)} are figures of different kinds")


def _check_bound(bound: float, setting: Setting, where: str) -> None:
    """Raise if no figure of its unit can lie on either side of a bound."""
    if not math.isfinite(bound):
        raise SpecError(f"{where}.bound: {bound} is no number that a figure can be compared with")
    figure = PERTURBATION_FIGURES[setting.figure]
    if figure.unit == "share" and figure.kind != "reduction" and not 0 <= bound <= 1:
        raise SpecError(
            f"{where}.bound: {figure.name} is a share, from 0 to 1 (0.8 is 80 %); this says {bound:g}"
        )

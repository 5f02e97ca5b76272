"""The `[[claims]]` tables of a suite file, checked against the suite's attacks and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field

from bench.attacks.catalogue import row_kind
from bench.errors import SpecError
from bench.registry import unknown
from bench.runner.claim_settings import (
    claim_of_perturbations,
    fields_of_perturbations,
    is_about_perturbations,
)
from bench.runner.claims_without_attacks import claim_without_attacks
from bench.spec import (
    NORMS,
    AttackRequest,
    Claim,
    Expected,
    Figure,
    Norm,
    eps_text,
    number,
)
from bench.trust.claim_measures.registry import ClaimMeasure, claim_measures_by_name
from bench.trust.claim_pairs import matches

_Names = Annotated[list[str], Field(min_length=1)]
_Eps = str | float | int | list[str | float | int]
_Parameters = dict[str, bool | int | float | str | list[bool | int | float | str]]


class ClaimTable(BaseModel):
    """A `[[claims]]` table."""

    model_config = ConfigDict(extra="forbid", strict=True)
    says: str
    left: str
    right: str | None = None
    attacks: _Names | None = None
    left_attacks: _Names | None = None
    right_attacks: _Names | None = None
    surfaces: _Names | None = None
    norm: Norm | None = None
    left_norm: Norm | None = None
    right_norm: Norm | None = None
    eps: _Eps | None = None
    left_eps: _Eps | None = None
    right_eps: _Eps | None = None
    with_: _Parameters | None = Field(default=None, alias="with")
    left_with: _Parameters | None = None
    right_with: _Parameters | None = None
    expect: Expected
    measure: str = "accuracy"
    figure: str | None = None
    left_figure: str | None = None
    right_figure: str | None = None
    within: Annotated[float, Field(gt=0, lt=100)] | None = None
    bound: float | None = None


def checked_claim(table: ClaimTable, attacks: Sequence[AttackRequest], where: str) -> Claim:
    """Return the claim of a table.

    Args:
        table: from the file.
        attacks: of the suite.
        where: the file and the table, for messages.

    Raises:
        SpecError: fields that contradict each other, attacks that the suite does not have, or a model
            compared with itself.
    """
    claim = _claim_of(table, attacks, where)
    if claim.left == claim.right and "*" not in claim.left and not claim.apart:
        raise SpecError(f"{where}.right: this is the model of the left; name another one")
    return claim


def _claim_of(table: ClaimTable, attacks: Sequence[AttackRequest], where: str) -> Claim:
    eps_values = table.eps if isinstance(table.eps, list | None) else [table.eps]
    eps = tuple(str(radius) for radius in eps_values or ())
    measure = _measure(table.measure, where)
    if is_about_perturbations(table, measure):
        _check_expected(table, measure, where)
        _check_equality(table, where)
        return claim_of_perturbations(table, measure, attacks, where)
    if measure.about != "models":
        _check_expected(table, measure, where)
        return claim_without_attacks(table, measure, where)
    figure = _check_measure(table, measure, where)
    _check_sides(table, measure, eps, where)
    _check_equality(table, where)
    norm = _norm(table.norm, attacks, where)
    names = _attacks(table)
    for field, named in names.items():
        for radius in eps:
            _check_attacked(named, norm, radius, attacks, where, field)
        if measure.of_radii:
            _check_measured(named, norm, attacks, where, field)
    left, right = (names.get(f"{side}_attacks", ()) for side in ("left", "right"))
    return Claim(
        says=table.says,
        left=table.left,
        right=table.right,
        attacks=names.get("attacks", left),
        right_attacks=right if table.right_attacks else None,
        surfaces=None if table.surfaces is None else tuple(table.surfaces),
        norm=norm,
        eps=eps,
        expect=table.expect,
        within=table.within,
        measure=table.measure,
        figure=figure,
    )


def check_models(suite: str, claims: Iterable[Claim], titles: Sequence[str]) -> None:
    """Check that every claim about models is about some that the suite has.

    Args:
        suite: its name.
        claims: its claims.
        titles: of all its models, including those filtered out.

    Raises:
        SpecError: a pattern that matches none of them.
    """
    measures = claim_measures_by_name()
    for turn, claim in enumerate(claims, 1):
        if measures[claim.measure].about != "models":
            continue  # what there is of others is known when they are loaded
        for field, pattern in (("left", claim.left), ("right", claim.right)):
            if pattern is not None and not any(matches(pattern, title) for title in titles):
                plain = unknown(f"model of suite {suite}", pattern, list(titles))
                raise SpecError(f"claims[{turn}].{field}: {plain}")


def _attacks(table: ClaimTable) -> dict[str, tuple[str, ...]]:
    fields = ("attacks", "left_attacks", "right_attacks")
    return {field: tuple(getattr(table, field)) for field in fields if getattr(table, field)}


def _measure(name: str, where: str) -> ClaimMeasure:
    """Return what a claim compares."""
    measures = claim_measures_by_name()
    if name not in measures:
        raise SpecError(f"{where}.measure: input should be {_either(measures)}")
    return measures[name]


def _either(names: Iterable[str]) -> str:
    """Return names as a choice: `'a', 'b' or 'c'`."""
    *first, last = [f"'{name}'" for name in names]
    return f"{', '.join(first)} or {last}" if first else last


def _check_measure(table: ClaimTable, measure: ClaimMeasure, where: str) -> Figure | None:
    """Return the figure of the radii that a claim names, if any; raise if fields do not fit the measure."""
    measures = claim_measures_by_name().values()
    foreign = fields_of_perturbations(table)
    if foreign:
        about = _either(candidate.name for candidate in measures if candidate.of_perturbations)
        raise SpecError(
            f"{where}.{foreign[0]}: this is about perturbations; it needs measure = {about}, and a figure of "
            "them"
        )
    figure = next((name for name in get_args(Figure) if name == table.figure), None)
    if table.figure is not None and not measure.of_radii:
        of_radii = _either(candidate.name for candidate in measures if candidate.of_radii)
        raise SpecError(
            f"{where}.figure: this names a figure of radii; it needs measure = {of_radii}"
        )
    if table.figure is not None and figure is None:
        raise SpecError(f"{where}.figure: input should be {_either(get_args(Figure))}")
    if table.eps is not None and measure.of_radii:
        raise SpecError(
            f"{where}.eps: a critical eps is measured, so no radius is given; leave it out"
        )
    if table.right is not None and measure.orders:
        raise SpecError(f"{where}.right: the models of `left` are ordered; leave it out")
    _check_expected(table, measure, where)
    if table.eps is None and not measure.of_radii:
        raise SpecError(f"{where}.eps: this field is missing; write a radius, or 0")
    return figure


def _check_expected(table: ClaimTable, measure: ClaimMeasure, where: str) -> None:
    if table.expect in measure.expects:
        return
    measures = claim_measures_by_name().values()
    others = [candidate.name for candidate in measures if table.expect in candidate.expects]
    if "measure" not in table.model_fields_set and others:
        missing = f"with expect = '{table.expect}' write measure = {_either(others)}"
        raise SpecError(f"{where}.measure: this field is missing; {missing}")
    wanted = " or ".join(measure.expects)
    raise SpecError(f"{where}.expect: for {measure.noun} write {wanted}")


def _check_sides(table: ClaimTable, measure: ClaimMeasure, eps: Sequence[str], where: str) -> None:
    """Raise if it is not clear what is compared (models or attacks), or on which images."""
    if not eps and not measure.of_radii:
        raise SpecError(f"{where}.eps: an empty list says nothing; write a radius, or 0")
    radii = [number(radius, f"{where}.eps") for radius in eps]
    if min(radii, default=0) < 0:
        raise SpecError(f"{where}.eps: a radius is not negative")
    apart = table.left_attacks is not None, table.right_attacks is not None
    if any(apart) and table.attacks is not None:
        raise SpecError(f"{where}: write attacks, or left_attacks and right_attacks, not both")
    if any(apart) and not all(apart):
        raise SpecError(f"{where}: left_attacks and right_attacks go together")
    if any(apart) and 0 in radii:
        raise SpecError(f"{where}.eps: attacks are compared, but there is none at eps 0")
    if table.right is None and not any(apart) and not measure.orders:
        raise SpecError(
            f"{where}.right: this field is missing; it may be left out only if left_attacks and "
            f"right_attacks are compared"
        )
    if not _attacks(table) and (any(radii) or not radii):
        raise SpecError(f"{where}.attacks: this field is missing; only eps 0 needs no attacks")


def _check_equality(table: ClaimTable, where: str) -> None:
    equal = table.expect == "left = right"
    if equal and table.within is None:
        raise SpecError(
            f"{where}.within: this field is missing; say how large a difference still counts as equal, such as "
            f"within = 5: in percentage points, or where figures are no shares in their unit"
        )
    if not equal and table.within is not None:
        raise SpecError(f"{where}.within: this goes with expect = 'left = right' alone")


def _norm(wanted: Norm | None, attacks: Sequence[AttackRequest], where: str) -> Norm:
    there = [norm for norm in NORMS if norm in {attack.spec.norm for attack in attacks}]
    if wanted is None:
        if "linf" not in there and len(there) > 1:
            raise SpecError(f"{where}.norm: this field is missing; it takes {', '.join(there)}")
        return "linf" if "linf" in there else there[0]
    if wanted not in there:
        raise SpecError(f"{where}.norm: no attack of the suite has the norm {wanted}")
    return wanted


def _check_attacked(
    named: Iterable[str],
    norm: Norm,
    eps: str,
    attacks: Sequence[AttackRequest],
    where: str,
    field: str,
) -> None:
    """Raise if the suite does not run an attack at a radius, which is most often a slip."""
    radius = number(eps, f"{where}.eps")
    specs = [attack.spec for attack in attacks if attack.spec.norm == norm]
    for name in named:
        made_at = [spec.radius for spec in specs if spec.name == name]
        if not made_at:
            there = sorted({spec.name for spec in specs})
            raise SpecError(f"{where}.{field}: {unknown(f'{norm} attack here', name, there)}")
        if radius > 0 and not {radius, None} & set(made_at):
            radii = ", ".join(dict.fromkeys(eps_text(value) for value in made_at))
            raise SpecError(f"{where}.eps: the suite has no {name} {norm} {eps}; it has {radii}")


def _check_measured(
    named: Iterable[str], norm: Norm, attacks: Sequence[AttackRequest], where: str, field: str
) -> None:
    """Raise if the suite does not have an attack, or the attack measures no radius."""
    there = sorted({attack.spec.name for attack in attacks if attack.spec.norm == norm})
    for name in named:
        if name not in there:
            raise SpecError(f"{where}.{field}: {unknown(f'{norm} attack here', name, there)}")
        if not _measures_a_radius(name):
            measuring = [attack for attack in there if _measures_a_radius(attack)]
            raise SpecError(
                f"{where}.{field}: {name} measures no radius for a critical eps; "
                f"in this suite {', '.join(measuring) or 'no attack'} does"
            )


def _measures_a_radius(name: str) -> bool:
    kind = row_kind(name)
    return kind.attacks and kind.measures is not None

"""A `[[claims]]` table that compares no attacked models: trainings, or members of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bench.errors import SpecError
from bench.measure.training_figures import TRAINING_FIGURES
from bench.registry import unknown
from bench.spec import Claim
from bench.trust.claim_measures.registry import claim_measures_by_name

if TYPE_CHECKING:
    from bench.runner.suite_claims import ClaimTable
    from bench.trust.claim_measures.registry import ClaimMeasure

_FIELDS = ("says", "left", "right", "expect", "measure", "figure", "bound")


def claim_without_attacks(table: ClaimTable, measure: ClaimMeasure, where: str) -> Claim:
    """Return the claim of a table about trainings or members.

    Args:
        table: from the file.
        measure: that it names, about anything but models.
        where: the file and the table, for messages.

    Raises:
        SpecError: fields that contradict each other, or that only claims about attacks have.
    """
    given = {name: getattr(table, name) for name in type(table).model_fields}
    for name, value in given.items():
        if value is not None and name not in _FIELDS:
            field = type(table).model_fields[name].alias or name
            raise SpecError(f"{where}.{field}: {measure.noun} have no attacks; leave it out")
    if ("bound" in table.expect) != (table.bound is not None):
        why = "with expect = 'left > bound' or 'left < bound'"
        raise SpecError(f"{where}.bound: a number goes {why}, and with these alone")
    if table.bound is not None and table.right is not None:
        raise SpecError(f"{where}.right: the left is compared with a bound; leave it out")
    if table.bound is None and table.right is None:
        raise SpecError(
            f"{where}.right: this field is missing; it may be left out only against a bound"
        )
    return Claim(
        says=table.says,
        left=table.left,
        right=table.right,
        attacks=(),
        norm="",
        eps=(),
        expect=table.expect,
        measure=table.measure,
        column=_column(table, measure, where),
        bound=table.bound,
    )


def _column(table: ClaimTable, measure: ClaimMeasure, where: str) -> str:
    """Return the figure that a claim names, empty of a measure that has one alone."""
    if not measure.figures:
        if table.figure is not None:
            raise SpecError(f"{where}.figure: {measure.noun} is one figure; leave it out")
        return ""
    if table.figure is None:
        raise SpecError(
            f"{where}.figure: this field is missing; write one of {', '.join(measure.figures)}"
        )
    if table.figure not in measure.figures:
        raise SpecError(f"{where}.figure: {unknown('figure', table.figure, list(measure.figures))}")
    figure = TRAINING_FIGURES[table.figure]
    if table.bound is not None and figure.unit == "share" and not -1 <= table.bound <= 1:
        raise SpecError(
            f"{where}.bound: {figure.name} is of shares (0.8 is 80 %); this says {table.bound:g}"
        )
    return figure.name


def check_trainings(suite: str, claims: Iterable[Claim], trainings: Sequence[str]) -> None:
    """Check that a suite names trainings if one of its claims compares some.

    Raises:
        SpecError: it names none.
    """
    measures = claim_measures_by_name()
    for turn, claim in enumerate(claims, 1):
        if measures[claim.measure].about == "trainings" and not trainings:
            raise SpecError(
                f"{suite}: trainings: this field is missing; claims[{turn}] compares trainings, so name them"
            )

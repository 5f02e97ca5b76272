"""The figures of comparisons as they are printed, in the unit of what is compared."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.measure.training_figures import TRAINING_FIGURES
from bench.report import formatting
from bench.trust.claim_measures.registry import claim_measures_by_name

#: No suite needs larger e-values than this to decide something.
_HUGE = 1e5


def at_any_time(found: pd.DataFrame) -> bool:
    """Return whether comparisons are of a run that added images, so that they have e-values."""
    return bool(found[["e", "strongest_e"]].notna().any(axis=None))


def e_value(e: float | None) -> str:
    """Return an e-value: two digits, whole from 10 on, or a bound where it is huge."""
    if e is None or formatting.missing(e):
        return formatting.NONE
    return f">{_HUGE:.0f}" if e > _HUGE else f"{e:.0f}" if e >= 10 else f"{e:.2g}"


def figures(found: pd.DataFrame, prefix: str) -> dict[str, list[str]]:
    """Return the columns of one attack, the study's or the strongest."""
    rows = found.to_dict("records")
    return {
        "left (%)": [_figure(row, prefix, 0) for row in rows],
        "right (%)": [_figure(row, prefix, 1) for row in rows],
        "difference": [_difference(row, prefix) for row in rows],
        "n": [formatting.count(row[f"{prefix}n"]) for row in rows],
        "e": [e_value(row.get(f"{prefix}e")) for row in rows],
        "Holm p": [formatting.probability(row[f"{prefix}p_holm"]) for row in rows],
    }


def with_units(figures: Sequence[str], units: Sequence[str]) -> list[str]:
    """Return figures with the sign of those in percent."""
    return [
        f"{figure} %"
        if unit in ("percent", "small share") and figure != formatting.NONE
        else figure
        for figure, unit in zip(figures, units, strict=True)
    ]


def _figure(row: Mapping[Hashable, Any], prefix: str, side: int) -> str:
    """Return the figure of a side, 0 or 1, in the unit of what is compared: percent, or as it is."""
    sides = claim_measures_by_name()[row["measure"]].sides
    value = row.get(prefix + sides[side]) if sides else None
    if unit_of(row) == "small share" and not formatting.missing(value):
        return f"{100 * float(value or 0):.2f}"
    return (
        formatting.amount(value)
        if unit_of(row) in ("radius", "amount")
        else formatting.percent(value)
    )


def unit_of(row: Mapping[Hashable, Any]) -> str:
    """Return the unit of a comparison: `percent`, `small share`, `tau`, `radius` or `amount`."""
    unit = claim_measures_by_name()[row["measure"]].unit
    if unit != "figure":
        return unit
    if formatting.missing(row["left_figure"]):
        return "percent"
    if str(row["left_figure"]) in TRAINING_FIGURES:
        share = TRAINING_FIGURES[str(row["left_figure"])].unit == "share"
        return "percent" if share else "amount"
    figure = PERTURBATION_FIGURES[str(row["left_figure"])]
    if figure.kind == "median":  # of pixels, often below one percent
        return "small share"
    return "percent" if figure.unit == "share" else "amount"


def _difference(row: Mapping[Hashable, Any], prefix: str) -> str:
    """Return a difference of shares in points, or of other figures, with its interval, or Kendall's tau."""
    difference, low, high = (row[prefix + name] for name in ("difference", "low", "high"))
    unit = unit_of(row)
    if formatting.missing(difference) or unit == "percent":
        return formatting.points(difference, low, high)
    if unit == "small share":
        return f"{100 * difference:+.2f} [{100 * low:.2f}, {100 * high:.2f}]"
    if unit == "tau":
        return f"τ = {difference:+.2f}"
    if unit == "amount":
        return f"{difference:+.3g}" + (
            "" if formatting.missing(low) else f" [{low:.3g}, {high:.3g}]"
        )
    return f"{difference:+.4f} [{low:.4f}, {high:.4f}]"


def both_sides(figures: Mapping[str, Sequence[str]]) -> list[str]:
    """Return left and right accuracy in one column."""
    sides = zip(figures["left (%)"], figures["right (%)"], strict=True)
    return [
        formatting.NONE if left == right == formatting.NONE else f"{left} : {right}"
        for left, right in sides
    ]

"""The table of a grid of models for people: short columns, a row a configuration."""

from __future__ import annotations

import pandas as pd

from bench.report import formatting
from bench.studies.local_learning.configurations import PARTS

CAPTION = (
    "Configurations of local learning (ll) and their back-propagated twins (bp): the options of each, "
    "the share of its filters that are positive and of unit norm (f-score), clean accuracy, and the "
    "worst case of each threat, in per cent."
)


def grid_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the frame of `bench.studies.local_learning.configurations`, all text; options that no rule has are left empty."""
    if found.empty:
        return found
    columns = {part: [_said(value) for value in found[part]] for part in PARTS}
    columns["f-score"] = [_score(value) for value in found["f_score"]]
    columns["clean (%)"] = [formatting.percent(value) for value in found["clean_accuracy"]]
    for name in found.columns[found.columns.str.startswith("robust ")]:
        threat = name.removeprefix("robust ")
        columns[f"{threat} (%)"] = [formatting.percent(value) for value in found[name]]
    return pd.DataFrame(columns)


def _said(value: object) -> str:
    return (
        ""
        if formatting.missing(value)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _score(value: float | None) -> str:
    return "" if value is None or formatting.missing(value) else f"{value:.2f}"

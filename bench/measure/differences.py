"""Where our figures of a study differ from the published ones, and why: one rule for text, tables and files."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.published_file import METRICS
from bench.measure.source import Cause

UNKNOWN = "cause not known"
#: Of a normal distribution, for figures that come with a standard error alone.
_Z = 1.96


def explained(beside: pd.DataFrame, causes: Sequence[Cause]) -> pd.DataFrame:
    """Return published figures beside ours, with what is known of each difference.

    A figure of ours differs where the published one lies outside of its 95 % interval by more than half
    of the last digit printed. What was measured once has no interval and differs where the digits do.

    Args:
        beside: of `bench.report.study.Study.beside`: `published, ours`, and `low, high` or `error`; with
            the text `printed`, its digits are known.
        causes: of the document; the first that explains a figure counts.

    Returns:
        The frame with `metric` (accuracy where it had none), `low, high`, and last `apart` (bool,
        whether it differs) and `cause` (a sentence, `UNKNOWN`, or empty where it does not differ).
    """
    made = beside.copy()
    if "metric" not in made:
        made["metric"] = "accuracy"
    if "low" not in made:
        made["low"] = made["ours"] - _Z * made["error"].fillna(0)
        made["high"] = made["ours"] + _Z * made["error"].fillna(0)
    half = made["printed"].map(_half_digit) if "printed" in made else 0.0
    low, high = (made[side].fillna(made["ours"]) for side in ("low", "high"))
    made["apart"] = (made["published"] + half < low) | (made["published"] - half > high)
    made["cause"] = [
        _cause(figure, causes) if figure["apart"] else "" for figure in made.to_dict("records")
    ]
    return made


def _cause(figure: Mapping[Hashable, Any], causes: Sequence[Cause]) -> str:
    return next((cause.cause for cause in causes if cause.explains(figure)), UNKNOWN)


def _half_digit(printed: str) -> float:
    """Return half of the last digit of a number as it is printed: 0.005 for `77.90`."""
    _, _, decimals = printed.partition(".")
    return 0.5 * 10.0 ** -len(decimals)


def in_points(metric: str) -> bool:
    """Return whether differences of a metric are of points of a percentage, not in percent of it."""
    return "%" in METRICS[metric]

"""One stored cell in a few numbers, for `bench show`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bench.measure.statistics import wilson
from bench.spec import row_kind_named
from bench.store.columns import attacked

_NORMS = ("l0", "l1", "l2", "linf")


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the most important figures of a cell.

    Args:
        rows: of one finished cell, `spec.COLUMNS`.

    Returns:
        `images, correct, attacked`; `successes, success_rate, low, high` (95 % Wilson, of the images
        attacked); `invalid` (counts by reason), `borderline, abstained`; `distances` (by norm, the
        `least, median, largest` of the successes), `forwards, backwards, seconds` (means over the images
        attacked). A cell whose kind measures a number of each image also has, under the number's name
        such as `radius`, the same three of those found, and `found` (how many). Numbers that are not
        known are None.
    """
    tried = rows[attacked(rows)]
    successes = tried[tried["success"]]
    low, high = wilson(len(successes), len(tried))
    reasons = tried["invalid"].dropna().value_counts()
    figures: dict[str, Any] = {
        "images": len(rows),
        "correct": int(rows["correct"].sum()),
        "attacked": len(tried),
        "successes": len(successes),
        "success_rate": len(successes) / len(tried) if len(tried) else None,
        "low": _known(low),
        "high": _known(high),
        "invalid": {str(reason): int(count) for reason, count in reasons.items()},
        "borderline": int(tried["borderline"].sum()),
        "abstained": int(rows["abstained"].sum()),
        "distances": {norm: _spread(successes[norm]) for norm in _NORMS} if len(successes) else {},
        **{name: _known(tried[name].mean()) for name in ("forwards", "backwards", "seconds")},
    }
    measured = row_kind_named(str(rows["kind"].iloc[0])).measures if len(rows) else None
    if measured is not None:
        values = rows[measured.column].astype("float64")
        known = values[np.isfinite(values) & (values > 0)]
        figures |= {"found": len(known), measured.name: _spread(known) if len(known) else None}
    return figures


def _spread(values: pd.Series[float]) -> dict[str, float]:
    known = values.astype("float64")
    return {
        "least": float(known.min()), "median": float(known.median()), "largest": float(known.max()),
    }  # fmt: skip


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)

"""What became of images that others made: broken, withstood, or why they do not count."""

from __future__ import annotations

import pandas as pd

from bench.measure.validity import label_lost, recorded
from bench.spec import by_eight_bits


def fates(rows: pd.DataFrame, values: int) -> dict[str, int]:
    """Return how many images met each fate, in words.

    Args:
        rows: of a cell of images that others made.
        values: how many values an image has.
    """
    norm, radius = str(rows["norm"].iloc[0]), float(rows["eps"].iloc[0])
    right, why = rows["correct"].astype(bool), rows["invalid"].fillna("").astype("str")
    missing = recorded(rows, "ineffective")
    over = right & why.str.startswith("over budget")
    nearly = over & (rows[norm].astype("float64") <= radius + by_eight_bits(norm, values))
    outside = right & why.str.startswith("outside")
    other = right & (why != "") & ~over & ~outside
    broken = right & label_lost(rows)
    counts = {
        "wrong before": ~right,
        "broken": broken,
        "withstood": right & (why == "") & ~broken & ~missing,
        "not handed in": right & missing,
        "over budget, by no more than rounding to 8 bits adds": nearly,
        "over budget, by more": over & ~nearly,
        "outside [0, 1]": outside,
        "not finite": other,
    }
    return {fate: int(there.sum()) for fate, there in counts.items()}

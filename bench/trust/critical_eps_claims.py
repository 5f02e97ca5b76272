"""Claims about critical eps: two models, or two attacks on one, by the errors of either side.

A side is one model under one attack on one surface. Of several that a claim names (attacks, surfaces,
toolkits), the one with the least critical eps counts: the worst case, as everywhere. Both sides face
the same attacks (`bench.trust.faced`); else nothing is judged.

A claim may say which figure of the radii it is about. Where it does not, that is R of the fitted
logistic, the study's, or the median radius if any side has no R; the comparison says which and why.

The two errors are taken as independent, since each critical eps is of the images that its own model is
sure of. What hard and easy images both sides share makes the difference vary less than is taken here: a
verdict is given too seldom rather than too often. How much two trainings of one model differ is not in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from bench.spec import Claim, Figure
from bench.trust.claim_pairs import Pair, lonely, sided
from bench.trust.faced import faced

#: The columns of a comparison that only one of critical eps fills.
CRITICAL = ("left_critical_eps", "left_error", "right_critical_eps", "right_error")

_WIDE = float(norm.ppf(0.975))


#: The columns of a figure and its error, and what the figure is called.
_COLUMNS: dict[Figure, tuple[str, str, str]] = {
    "logistic": ("critical_eps", "error", "R of the fitted logistic"),
    "median": ("median", "median_error", "median radius"),
    "mode": ("mode", "mode_error", "mode"),
}


def compare_critical(
    measured: pd.DataFrame, cells: pd.DataFrame, claim: Claim, pair: Pair
) -> dict[str, Any]:
    """Return the figures of one comparison of critical eps, or `note`, why there are none.

    Args:
        measured: of `bench.measure.radius.critical_eps`.
        cells: `Results.cells`.
        claim: one whose measure is `critical_eps`.
        pair: two of its models.

    Returns:
        `figure` (which one is compared), `CRITICAL`, `n` (images that count on the side that has
        fewer), `difference` (left minus right) with its 95 % interval `low, high`, and `p` (two-sided,
        by the normal distribution); `harder` where the sides were attacked unequally.
    """
    row = {"left": pair.left, "right": pair.right, "case": pair.case, "measure": claim.measure}
    row |= {"eps_text": None}
    if pair.left is None or pair.right is None:
        return row | {"note": lonely(claim, pair)}
    under = claim.attacks, claim.right_attacks or claim.attacks
    found = [
        measuring(measured, claim, title, attacks)
        for title, attacks in zip((pair.left, pair.right), under, strict=True)
    ]
    sides, absent = [mine for mine, _ in found], [why for _, why in found]
    if any(absent):
        return row | {"note": sided("", *absent)}
    unequal = ""
    if claim.right_attacks is None:
        sides, unequal, harder = _alike(sides, cells)
        if harder:
            return row | {"harder": harder, "note": unequal}
    figure, why = chosen(claim, sides)
    row |= {"figure": figure}
    one, two = (least(mine, figure) for mine in sides)
    if one is None or two is None:
        return row | {"note": sided("", *(_lacking(mine, figure) for mine in sides))}
    (left, error, n), (right, other, m) = one, two
    difference, both = left - right, float(np.hypot(error, other))
    return row | dict(zip(CRITICAL, (left, error, right, other), strict=True)) | {
        "n": min(n, m),
        "difference": difference,
        "low": difference - _WIDE * both,
        "high": difference + _WIDE * both,
        "p": float(2 * norm.sf(abs(difference) / both)) if both else float(difference == 0),
        "note": "; ".join(said for said in (why, unequal) if said),
    }  # fmt: skip


def measuring(
    measured: pd.DataFrame, claim: Claim, title: str, attacks: tuple[str, ...]
) -> tuple[pd.DataFrame, str]:
    """Return the rows of a model under some attacks of a claim, or why there are none."""
    mine = measured[(measured["model"] == title) & (measured["norm"] == claim.norm)]
    mine = mine[mine["attack"].isin(attacks)]
    if claim.surfaces is not None:
        mine = mine[mine["surface"].isin(claim.surfaces)]
    absent = [attack for attack in attacks if attack not in set(mine["attack"])]
    return mine, f"no {', '.join(absent)} in this run" if absent else ""


def chosen(claim: Claim, sides: list[pd.DataFrame]) -> tuple[Figure, str]:
    """Return the figure that a claim is judged by, and what is to be said of it.

    Args:
        claim: which may name one.
        sides: of `measuring`, all that are compared with each other.
    """
    if claim.figure is not None:
        return claim.figure, "" if claim.figure == "logistic" else f"by the {named(claim.figure)}"
    refused = [row for mine in sides for row in mine.to_dict("records") if row["refused"]]
    if not refused:
        return "logistic", ""
    first = refused[0]
    more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
    why = f"{first['model']} under {first['attack']}: {first['refused']}{more}"
    return "median", f"by the median radius, since R is not there ({why})"


def named(figure: Figure) -> str:
    """Return what a figure is called."""
    return _COLUMNS[figure][2]


def least(mine: pd.DataFrame, figure: Figure) -> tuple[float, float, int] | None:
    """Return the least figure of some rows with its error and images; None where one has none."""
    value, error, _ = _COLUMNS[figure]
    if mine.empty or not np.isfinite(mine[[value, error]].to_numpy(dtype=float)).all():
        return None
    one = mine.iloc[int(mine[value].to_numpy(dtype=float).argmin())]
    return float(one[value]), float(one[error]), int(one["n"])


def _lacking(mine: pd.DataFrame, figure: Figure) -> str:
    """Return why a side has no figure; empty where it has one."""
    value, error, called = _COLUMNS[figure]
    said = [
        f"{one['attack']}: {one['refused'] or 'its error cannot be told'}"
        for one in mine.to_dict("records")
        if not np.isfinite([float(one[value]), float(one[error])]).all()
    ]
    return f"no {called}, {'; '.join(said)}" if said else ""


def _alike(sides: list[pd.DataFrame], cells: pd.DataFrame) -> tuple[list[pd.DataFrame], str, str]:
    """Return the rows of the attacks that both sides faced, what to say of others, and who faced more."""
    ours = [cells[cells["cell"].isin(mine["cell"])] for mine in sides]
    through = [set(cells.loc[cells["model"] == one["model"].iloc[0], "surface"]) for one in ours]
    met = faced(ours[0], ours[1], (through[0], through[1]), float("nan"))
    kept = [
        mine[mine["cell"].isin(used)]
        for mine, used in zip(sides, (met.left, met.right), strict=True)
    ]
    return kept, met.said(), met.harder

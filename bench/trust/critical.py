"""Claims about critical eps: two models, or two attacks on one, by the errors of either side.

A side is one model under one attack on one surface. Of several that a claim names (attacks, surfaces,
toolkits), the one with the least critical eps counts: the worst case, as everywhere.

The two errors are taken as independent, since each critical eps is of the images that its own model is
sure of. What hard and easy images both sides share makes the difference vary less than is taken here: a
verdict is given too seldom rather than too often. How much two trainings of one model differ is not in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from bench.spec import Claim
from bench.trust.pairs import Pair, lonely, sided

#: The columns of a comparison that only one of critical eps fills.
CRITICAL = ("left_critical_eps", "left_error", "right_critical_eps", "right_error")

_WIDE = float(norm.ppf(0.975))


def compare_critical(measured: pd.DataFrame, claim: Claim, pair: Pair) -> dict[str, Any]:
    """Return the figures of one comparison of critical eps, or `note`, why there are none.

    Args:
        measured: of `bench.measure.radius.critical_eps`.
        claim: one whose measure is `critical_eps`.
        pair: two of its models.

    Returns:
        `CRITICAL`, `n` (images that count on the side that has fewer), `difference` (left minus right)
        with its 95 % interval `low, high`, and `p` (two-sided, by the normal distribution).
    """
    row = {"left": pair.left, "right": pair.right, "case": pair.case, "measure": claim.measure}
    row |= {"eps_text": None}
    if pair.left is None or pair.right is None:
        return row | {"note": lonely(claim, pair)}
    left, why = least_critical_eps(measured, claim, pair.left, claim.attacks)
    right, other = least_critical_eps(
        measured, claim, pair.right, claim.right_attacks or claim.attacks
    )
    if left is None or right is None:
        return row | {"note": sided("", why, other)}
    difference = left["critical_eps"] - right["critical_eps"]
    error = float(np.hypot(left["error"], right["error"]))
    figures = {
        f"{side}_{name}": found[name]
        for side, found in (("left", left), ("right", right))
        for name in ("critical_eps", "error")
    }
    return row | figures | {
        "n": min(left["n"], right["n"]),
        "difference": difference,
        "low": difference - _WIDE * error,
        "high": difference + _WIDE * error,
        "p": float(2 * norm.sf(abs(difference) / error)) if error else float(difference == 0),
        "note": "",
    }  # fmt: skip


def least_critical_eps(
    measured: pd.DataFrame, claim: Claim, title: str, attacks: tuple[str, ...]
) -> tuple[dict[str, Any] | None, str]:
    """Return the cell of least critical eps of a model under some attacks, or why there is none."""
    mine = measured[(measured["model"] == title) & (measured["norm"] == claim.norm)]
    mine = mine[mine["attack"].isin(attacks)]
    if claim.surfaces is not None:
        mine = mine[mine["surface"].isin(claim.surfaces)]
    absent = [attack for attack in attacks if attack not in set(mine["attack"])]
    if absent:
        return None, f"no {', '.join(absent)} in this run"
    found: list[dict[str, Any]] = mine.to_dict("records")  # type: ignore[assignment]
    refused = [f"{one['attack']}: {one['refused']}" for one in found if one["refused"]]
    if refused:
        return None, f"no critical eps, {'; '.join(refused)}"
    return min(found, key=lambda one: float(one["critical_eps"])), ""

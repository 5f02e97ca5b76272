"""How each attack moved the images it was given, and what the model said of them: counts a cell, for checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from bench.measure.outcomes import Floats, Outcomes
from bench.measure.validity import valid_rows
from bench.store.columns import attacked, places

#: Attacks that move every image, also where they find nothing, and whose steps use the whole radius. Others
#: return the clean image where they find nothing, or the nearest one.
MOVING = ("fgsm", "bim", "pgd", "mi-fgsm")

#: From this radius in linf the range of pixels, not the radius, limits what can change.
_HALF = 0.5

#: Changes of confidence below this are rounding.
_SAME = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moves:
    """What became of the images that a cell attacked.

    Attributes:
        attacked: how many there are.
        invalid: how many cannot count (`invalid` says why).
        why: the first reason.
        valid: on how many the attack was valid.
        still: how many of these came back as they were.
        spent: of those that moved and kept their label, the change as a share of the radius, float64 (K,); 1
            where a pixel passed half of its range; NaN without a radius.
        changed: of how many of these the confidence changed.
        higher: of how many it rose.
    """

    attacked: int
    invalid: int
    why: str
    valid: int
    still: int
    spent: Floats
    changed: int
    higher: int


_KEPT: WeakKeyDictionary[Outcomes, dict[str, Moves]] = WeakKeyDictionary()


def moves(outcomes: Outcomes) -> Mapping[str, Moves]:
    """Return what became of the images of each done cell that attacked some, by its key; made once a run."""
    if outcomes not in _KEPT:
        _KEPT[outcomes] = _moves(outcomes.results.rows)
    return _KEPT[outcomes]


def _moves(rows: pd.DataFrame) -> dict[str, Moves]:
    """Return the moves of each cell, from all rows of a run."""
    tried, valid = attacked(rows).to_numpy(bool), valid_rows(rows).to_numpy(bool)
    invalid = rows["invalid"].notna().to_numpy(bool) & tried
    still = (rows["l0"] == 0).fillna(False).to_numpy(bool)
    kept = (rows["adv_label"] == rows["label"]).fillna(False).to_numpy(bool) & valid & ~still
    gain = (rows["adv_confidence"] - rows["clean_confidence"]).to_numpy(float, na_value=np.nan)
    spent = _spent(rows)
    found = {}
    every = np.arange(len(rows))
    for cell, there in places(rows["cell"]).items():
        at = every[there]
        if not tried[at].any():
            continue
        withstood, reasons = at[kept[at]], at[invalid[at]]
        found[str(cell)] = Moves(
            attacked=int(tried[at].sum()), invalid=len(reasons),
            why=str(rows["invalid"].iloc[reasons[0]]) if len(reasons) else "",
            valid=int(valid[at].sum()), still=int((still[at] & valid[at]).sum()), spent=spent[withstood],
            changed=int((np.abs(gain[withstood]) > _SAME).sum()),
            higher=int((gain[withstood] > _SAME).sum()),
        )  # fmt: skip
    return found


def _spent(rows: pd.DataFrame) -> Floats:
    """Return by row the size of the change as a share of the radius, in the norm of its cell."""
    largest = rows["linf"].to_numpy(float, na_value=np.nan)
    eps = rows["eps"].to_numpy(float, na_value=np.nan)
    shares = np.full(len(rows), np.nan)
    for norm, there in places(rows["norm"]).items():
        limit = np.minimum(eps[there], _HALF) if norm == "linf" else eps[there]
        shares[there] = rows[norm].to_numpy(float, na_value=np.nan)[there] / limit
    return np.where(largest >= _HALF, 1.0, shares)

"""Claims about how models are ordered: by clean accuracy and critical eps, or by critical eps twice.

All models of a claim and a data set make one comparison: Kendall's tau with its exact p. Repeated
trainings of one network are not told apart from other networks, so a claim had better leave them out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy.stats import kendalltau

from bench.spec import Claim, Figure
from bench.trust.critical_eps_claims import chosen, least, measuring

#: Of fewer models no order can be told from chance: 2 / 4! > 0.05.
FEWEST = 5


def compare_orders(
    measured: pd.DataFrame, accuracy: Mapping[str, float], claim: Claim, titles: list[str]
) -> dict[str, Any]:
    """Return the figures of one comparison of orders, or `note`, why there are none.

    Args:
        measured: of `bench.measure.radius.critical_eps`.
        accuracy: of each model on the clean images.
        claim: one whose measure is `order`; attacks on either side order by critical eps, attacks
            alike by clean accuracy on one side.
        titles: the models of the claim, of one data set.

    Returns:
        `figure` (which figure of the radii orders), `n` (models), `difference` (Kendall's tau) and `p` (two-sided, exact where no two tie).
    """
    row = {
        "left": claim.left,
        "right": None,
        "case": "",
        "measure": claim.measure,
        "eps_text": None,
    }
    figure, why = chosen(
        claim, [mine for mine, _ in _radii(measured, claim, titles) if not mine.empty]
    )
    row |= {"figure": figure}
    sides = [
        [accuracy.get(title, math.nan) for title in titles]
        if attacks is None
        else _figures(measured, claim, titles, attacks, figure)
        for attacks in (claim.attacks, claim.right_attacks)
    ]
    ranked = pd.DataFrame(sides, columns=titles).T.dropna()
    if len(ranked) < FEWEST:
        of = f"{len(ranked)} of {len(titles)} models have figures"
        return row | {"note": f"{of}; of fewer than {FEWEST} no order can be told from chance"}
    found_order = kendalltau(ranked[0], ranked[1])
    return row | {
        "n": len(ranked),
        "difference": float(found_order.statistic),
        "p": float(found_order.pvalue),
        "note": why,
    }


def _radii(
    measured: pd.DataFrame, claim: Claim, titles: list[str]
) -> list[tuple[pd.DataFrame, str]]:
    """Return the rows of all models under the attacks of either side."""
    both = (claim.attacks, claim.right_attacks)
    return [
        measuring(measured, claim, title, attacks)
        for attacks in both
        if attacks is not None
        for title in titles
    ]


def _figures(
    measured: pd.DataFrame,
    claim: Claim,
    titles: list[str],
    attacks: tuple[str, ...],
    figure: Figure,
) -> list[float]:
    """Return the least figure of each model under some attacks; NaN where it has none."""
    found = []
    for title in titles:
        mine, absent = measuring(measured, claim, title, attacks)
        value = None if absent else least(mine, figure)
        found.append(math.nan if value is None else value[0])
    return found

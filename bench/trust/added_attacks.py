"""What the attacks came to that nobody asked for, but checks called for."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.measure.headline import worst_case
from bench.measure.outcomes import Outcomes

_COLUMNS = (
    "model", "norm", "eps", "eps_text", "n", "attack", "before", "after", "allowed", "spent", "cell",
)  # fmt: skip


def added_attacks(outcomes: Outcomes, headline: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each such attack: the robust accuracy without it and with it.

    Args:
        outcomes: of the run.
        headline: of `bench.measure.headline.headline`, with all attacks.

    Returns:
        `model, norm, eps, eps_text, n, attack, before` (null where no attack of the suite counts),
        `after` (null where there is no figure), `allowed` (passes for each image), `spent` (mean passes over the images
        attacked; null where it did not run), `cell`.
    """
    results = outcomes.results
    asked = results.without_added()
    if asked is results:
        return pd.DataFrame(columns=list(_COLUMNS))
    without = Outcomes(asked)
    figures = headline.set_index(["model", "norm", "eps_text"])["robust_accuracy"]
    counts = headline.set_index(["model", "norm", "eps_text"])["n"]
    rows: list[dict[str, Any]] = []
    for cell in results.cells[results.cells["auto"]].to_dict("records"):
        named = cell["model"], cell["norm"], cell["eps"]
        before = worst_case(without, str(cell["model"]), str(cell["norm"]), float(cell["radius"]))
        rows.append({
            "model": cell["model"], "norm": cell["norm"], "eps": cell["radius"], "eps_text": cell["eps"],
            "n": counts.get(named), "attack": cell["attack"],
            "before": None if before is None else before.figures()["accuracy"],
            "after": figures.get(named), "allowed": cell["parameters"].get("passes"),
            "spent": cell["forwards"] + cell["backwards"], "cell": cell["cell"],
        })  # fmt: skip
    numbers = ("eps", "before", "after", "spent")
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(dict.fromkeys(numbers, "float64"))

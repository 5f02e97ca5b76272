"""The table of attacks that want more, or less, than any other label: how often they reached it."""

from __future__ import annotations

import pandas as pd

from bench.report import formatting
from bench.spec import GOALS

CAPTION = (
    "Attacks with a goal of their own: how often it was reached on the n images attacked, with its 95 % "
    "Wilson interval, and on how many of them the right label was lost. A lost label counts in the "
    "headline whatever the goal was."
)


def goal_table(found: pd.DataFrame, called: dict[str, str]) -> pd.DataFrame:
    """Return a row a cell whose attack has a target, or aims at less confidence.

    Args:
        found: of `bench.measure.attack_rates`.
        called: what each cell's attack is called, by cell.
    """
    found = found[found["goal"] != GOALS[0]]
    table = pd.DataFrame({
        "model": found["model"],
        "goal": found["goal"].str.replace("-", " "),
        "attack": found["cell"].map(called),
        "threat": formatting.each(found, lambda row: formatting.threat(row.norm, row.eps_text)),
        "toolkit": found["toolkit"],
        "surface": found["surface"],
        "n": formatting.each(found, lambda row: formatting.count(row.attacked)),
        "reached (%)": formatting.each(found, lambda row: formatting.rate(row.success_rate, row.low, row.high)),
        "label lost (%)": formatting.each(found, lambda row: formatting.percent(row.lost_rate)),
    })  # fmt: skip
    return formatting.without_plain_surface(table)

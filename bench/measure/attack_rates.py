"""What each attack did by itself."""

from __future__ import annotations

import re

import pandas as pd

from bench.measure.outcomes import Outcomes, in_norm_of_cell
from bench.measure.statistics import wilson
from bench.measure.validity import confidence_filtered
from bench.spec import eps_text
from bench.store.columns import attacked, cell_of

_NAN = float("nan")


def attack_rates(outcomes: Outcomes) -> pd.DataFrame:
    """Return what each attack did by itself, a row for each planned cell, in the plan's order.

    Returns:
        `cell, model, family, attack, norm, eps` (NaN for a minimal-norm attack), `eps_text`
        (`minimal` for one), `toolkit, surface, goal, targeted, kind, status`;
        `n` (images) and `attacked` (those of them that the model gets right);
        `successes` (the goal was reached), `success_rate` (successes / attacked) with `low, high` (95 %
        Wilson), `lost_rate` (share of the images attacked that lost the right label, whatever the goal);
        `accuracy` (share of n that the model still gets right after the attack; null if the attack
        tried only images the model is sure of);
        `median_distance` (in the cell's norm over the successes of a minimal-norm attack);
        `forwards, backwards, seconds` (means over the images attacked);
        `invalid` (images that cannot count) and `reasons` (such as `2 over budget, 1 not finite`);
        `borderline` (attacked images judged by a margin below 1e-4), `abstained`;
        `flag` (empty when all is well, else it begins with INVALID).
        Numbers are null if the cell is not done.
    """
    cells = outcomes.cells
    named = ["cell", "model", "family", "attack", "norm", "toolkit", "surface", "goal", "targeted"]
    table = cells[[*named, "kind", "status"]].copy()
    table.insert(5, "eps", cells["radius"])
    table.insert(6, "eps_text", cells["eps"].fillna(eps_text(None)))
    table = table.merge(
        _cell_figures(outcomes.results.rows, outcomes.lost),
        how="left",
        left_on="cell",
        right_index=True,
    )
    intervals = [
        wilson(int(hits), int(n)) if pd.notna(n) else (_NAN, _NAN)
        for hits, n in zip(table["successes"], table["attacked"], strict=True)
    ]
    counts = table[["successes", "lost", "attacked"]].astype("float64")
    table["success_rate"] = counts["successes"] / counts["attacked"]
    table["lost_rate"] = counts["lost"] / counts["attacked"]
    table["low"], table["high"] = [low for low, _ in intervals], [high for _, high in intervals]
    table["median_distance"] = table["median_distance"].where(table["kind"] == "minimal")
    table["accuracy"] = table["accuracy"].where(~confidence_filtered(cells))
    table["reasons"] = table["reasons"].fillna("")
    passes = ["forwards", "backwards", "seconds"]
    return table.drop(columns="lost").join(cells[[*passes, "flag"]])


def _cell_figures(rows: pd.DataFrame, lost: pd.Series[bool]) -> pd.DataFrame:
    """Return the counts and medians of each done cell, by cell; `lost` is `Outcomes.lost`."""
    cells, tried = cell_of(rows), attacked(rows)
    reached, spoilt = tried & rows["success"], tried & rows["invalid"].notna()
    flags = {
        "attacked": tried, "successes": reached, "invalid": spoilt,
        "borderline": tried & rows["borderline"], "abstained": tried & rows["abstained"], "lost": lost,
    }  # fmt: skip
    counts = {name: flag.groupby(cells).sum().astype("Int64") for name, flag in flags.items()}
    distance = pd.Series(in_norm_of_cell(rows), index=rows.index)[reached]
    figures = pd.DataFrame({"n": tried.groupby(cells).size().astype("Int64"), **counts}).assign(
        accuracy=(rows["correct"] & ~lost).groupby(cells).mean(),
        median_distance=distance.groupby(cells[reached]).median(),
    )
    why = rows.loc[spoilt, ["cell", "invalid"]]
    return figures.set_axis(figures.index.astype("str")).assign(
        reasons=why["invalid"].groupby(why["cell"]).agg(_reasons)
    )


def _reasons(invalid: pd.Series[str]) -> str:
    """Return how often each kind of reason occurs, such as `2 over budget`."""
    kinds = invalid.map(lambda reason: re.split(r" by |: ", reason)[0]).value_counts()
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())

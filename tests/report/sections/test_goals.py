"""Goals have a table of their own, with their own rate."""

from __future__ import annotations

import dataclasses

import build
import pytest
from build import cell

from bench.measure.attack_rates import attack_rates
from bench.measure.outcomes import Outcomes
from bench.report.labels import attack_names
from bench.report.sections.attacks import attack_table
from bench.report.sections.goals import goal_table


def test_a_goal_reached_and_a_label_lost_are_told_apart() -> None:
    made = build.results(
        [
            cell("m", "pgd", "0.1", range(4)),
            cell("m", "pgd", "0.1", range(10), goal="targeted", parameters={"targeted": "4"}),
            cell(
                "m",
                "pgd",
                "0.1",
                (),
                goal="source-target",
                parameters={"targeted": "4", "source": 2},
            ),
        ],
        images=20,
    )
    rows = made.rows.copy()
    # Another wrong label than the one wanted.
    missed = (rows["cell"] == "cell-1") & rows["index"].between(3, 9)
    rows.loc[missed, "success"] = False
    made = dataclasses.replace(made, rows=rows)
    rates = attack_rates(Outcomes(made))
    called = attack_names(made)
    table = goal_table(rates, called).frame
    assert table["goal"].tolist() == ["targeted", "source/target"]
    row = table.iloc[0]
    assert row["reached (%)"].startswith("15.0")
    assert row["label lost (%)"] == "50.0"
    assert len(attack_table(rates, called).frame) == 1
    assert rates["lost_rate"].tolist() == pytest.approx([0.2, 0.5, 0])

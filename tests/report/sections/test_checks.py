"""What was found by checks, and what came of the attack that they called for."""

from __future__ import annotations

import pandas as pd

from bench.report.sections.checks import added_lines, added_table

ADDED = pd.DataFrame({
    "model": ["rounded", "detached"], "norm": ["linf", "linf"], "eps": [0.2, 0.1], "eps_text": ["0.2", "0.1"],
    "n": [200, 200], "attack": ["adaptive"] * 2, "before": [float("nan"), 0.835], "after": [0.0, 0.005],
    "allowed": [3000, 400], "spent": [15.2, 210.0], "cell": ["a", "b"],
})  # fmt: skip


def test_the_accuracy_without_an_added_attack_is_invalid_where_no_other_counted():
    frame = added_table(ADDED).frame
    assert list(frame["without (%)"]) == ["INVALID", "83.5"]
    assert list(frame["with it (%)"]) == ["0.0", "0.5"]


def test_a_line_says_what_an_added_attack_changed():
    assert added_lines(ADDED) == [
        "rounded at linf 0.2: no attack of the suite counts, 0.0 % after adaptive (auto, 3000 passes an image)",
        "detached at linf 0.1: 83.5 % said the suite's attacks, 0.5 % after adaptive (auto, 400 passes an image)",
    ]

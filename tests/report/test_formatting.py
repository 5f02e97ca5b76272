from __future__ import annotations

import pandas as pd
import pytest

from bench.report import formatting
from bench.report.render.latex_text import latex


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (formatting.percent(0.845), "84.5"),
        (formatting.percent(float("nan")), "–"),
        (formatting.rate(0.845, 0.788, 0.889), "84.5 [78.8, 88.9]"),
        (formatting.rate(None, None, None), "–"),
        (formatting.amount(0), "0"),
        (formatting.amount(5.96e-8), "6.0e-08"),
        (formatting.amount(0.99), "0.990"),
        (formatting.amount(12.0), "12.0"),
        (formatting.amount(123.4), "123"),
        (formatting.amount(float("inf")), "inf"),
        (formatting.probability(0.0004), "<0.001"),
        (formatting.probability(0.004), "0.004"),
        (formatting.probability(0.62), "0.62"),
        (formatting.count(pd.NA), "–"),
        (formatting.count(12.0), "12"),
        (formatting.count(12.25), "12.2"),
        (formatting.milliseconds(0.0012), "1.2"),
        (formatting.milliseconds(2.1e-5), "0.021"),
        (formatting.milliseconds(0.31), "310"),
        (formatting.threat("linf", "8/255"), "linf 8/255"),
        (formatting.threat("linf", 8 / 255), "linf 8/255"),
        (formatting.threat("l2", float("nan")), "l2 minimal"),
        (formatting.join("", "a", "", "b"), "a; b"),
        (formatting.date("2025-11-20T23:48:13.25+01:00"), "20 November 2025, 22:48 UTC"),
        (formatting.date("2025-01-02T03:04:05"), "2 January 2025, 03:04 UTC"),
        (latex(r"50 % of a_b & {c} <1 \ #"), r"50 \% of a\_b \& \{c\} $<$1 \textbackslash{} \#"),
    ],
)  # fmt: skip
def test_numbers_read_as_people_write_them(said: str, expected: str) -> None:
    assert said == expected

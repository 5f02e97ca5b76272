from __future__ import annotations

import pandas as pd
import pytest

from bench.report import words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.845), "84.5"),
        (words.percent(float("nan")), "–"),
        (words.rate(0.845, 0.788, 0.889), "84.5 [78.8, 88.9]"),
        (words.rate(None, None, None), "–"),
        (words.amount(0), "0"),
        (words.amount(5.96e-8), "6.0e-08"),
        (words.amount(0.99), "0.990"),
        (words.amount(12.0), "12.0"),
        (words.amount(123.4), "123"),
        (words.amount(float("inf")), "inf"),
        (words.probability(0.0004), "<0.001"),
        (words.probability(0.004), "0.004"),
        (words.probability(0.62), "0.62"),
        (words.count(pd.NA), "–"),
        (words.count(12.0), "12"),
        (words.count(12.25), "12.2"),
        (words.milliseconds(0.0012), "1.2"),
        (words.milliseconds(2.1e-5), "0.021"),
        (words.milliseconds(0.31), "310"),
        (words.threat("linf", "8/255"), "linf 8/255"),
        (words.threat("linf", 8 / 255), "linf 8/255"),
        (words.threat("l2", float("nan")), "l2 minimal"),
        (words.join("", "a", "", "b"), "a; b"),
        (words.date("2025-11-20T23:48:13.25+01:00"), "20 November 2025, 22:48 UTC"),
        (words.date("2025-01-02T03:04:05"), "2 January 2025, 03:04 UTC"),
        (words.latex(r"50 % of a_b & {c} <1 \ #"), r"50 \% of a\_b \& \{c\} $<$1 \textbackslash{} \#"),
    ],
)  # fmt: skip
def test_numbers_read_as_people_write_them(said: str, expected: str) -> None:
    assert said == expected

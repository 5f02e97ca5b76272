"""The headline as a table: figures recomputed from what was planted."""

from __future__ import annotations

import numpy as np
from scenes import stored_run
from scipy.stats import binomtest

from bench.report.measured import Measured
from bench.report.sections.headline import headline_table
from bench.store.results import Results


def _interval(share: float, n: int) -> str:
    found = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return f"{100 * share:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def test_headline_is_the_worst_case_recomputed_from_the_boundary(
    results: Results, measured: Measured
) -> None:
    table = headline_table(results, measured.headline).frame.set_index(["model", "threat"])
    for model in stored_run.MODELS:
        right = stored_run.correct(model).numpy()
        wall = stored_run.boundary(model).numpy()
        for eps, text in ((8 / 255, "8/255"), (24 / 255, "24/255")):
            row = table.loc[(model, f"linf {text}")]
            assert row["clean accuracy (%)"] == _interval(right.mean(), len(right))
            assert row["robust accuracy (%)"] == _interval(
                (right & (wall >= eps)).mean(), len(wall)
            )
            assert "smoke: n < 100" in row["note"]
            assert row["n"] == "40"


def test_a_threat_without_a_valid_attack_is_no_number(results: Results, measured: Measured) -> None:
    nothing = measured.headline.head(1).assign(
        robust_accuracy=np.nan, low=np.nan, high=np.nan, attacks=0, worst="",
        flag="INVALID: 3 of 3 attacks did not run", clean_accuracy=np.nan, n=200,
    )  # fmt: skip
    row = headline_table(results, nothing).frame.iloc[0]
    assert row["robust accuracy (%)"] == "INVALID"
    assert row["clean accuracy (%)"] == "–"
    assert row["note"] == "3 of 3 attacks did not run"
    assert row["attacks"] == "0 of 3"

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scenes import stored_run
from scipy.stats import binomtest

from bench.report import tables
from bench.report.tables import Measured
from bench.store.results import Results


def _interval(share: float, n: int) -> str:
    found = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return f"{100 * share:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def test_headline_is_the_worst_case_recomputed_from_the_boundary(results: Results) -> None:
    table = tables.headline_table(results).set_index(["model", "threat"])
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


def test_tables_are_text_with_a_row_a_figure(results: Results, measured: Measured) -> None:
    made = {table.name: table.frame for table in tables.all_tables(results, measured)}
    assert list(made) == ["headline", "parity", "attacks", "cost"]
    assert len(made["headline"]) == len(measured.headline)
    assert len(made["parity"]) == len(measured.parity)
    assert len(made["attacks"]) == len(results.cells)
    assert len(made["cost"]) == (results.cells["status"] == "done").sum()
    for frame in made.values():
        assert frame.map(lambda value: isinstance(value, str)).all(axis=None)
        assert "surface" not in frame  # all are attacked as they are


def test_a_table_takes_the_frame_at_hand(results: Results, measured: Measured) -> None:
    one = measured.headline.head(1)
    assert len(tables.headline_table(results, one)) == 1


def test_surfaces_are_named_where_they_say_something(results: Results, measured: Measured) -> None:
    several = measured.attacks.assign(surface=["vote"] + ["network"] * (len(measured.attacks) - 1))
    assert tables.attack_table(results, several)["surface"].iloc[0] == "vote"


def test_a_cell_that_failed_is_invalid_and_listed(results: Results, measured: Measured) -> None:
    attacks = tables.attack_table(results, measured.attacks)
    model, attack, toolkit = stored_run.FAILED
    row = attacks[
        (attacks["model"] == model)
        & (attacks["attack"] == attack)
        & (attacks["toolkit"] == toolkit)
    ].iloc[0]
    assert row["note"] == "INVALID: did not run"
    assert row["success (%)"] == "–"
    failures = tables.failure_table(results)
    assert failures[["model", "attack", "toolkit", "status"]].to_numpy().tolist() == [
        [model, attack, toolkit, "failed"]
    ]
    assert "try --batch-size 8" in failures["error"].iloc[0]


def test_a_threat_without_a_valid_attack_is_no_number(results: Results, measured: Measured) -> None:
    nothing = measured.headline.head(1).assign(
        robust_accuracy=np.nan, low=np.nan, high=np.nan, attacks=0, worst="",
        flag="INVALID: 3 of 3 attacks did not run", clean_accuracy=np.nan, n=200,
    )  # fmt: skip
    row = tables.headline_table(results, nothing).iloc[0]
    assert row["robust accuracy (%)"] == "INVALID"
    assert row["clean accuracy (%)"] == "–"
    assert row["note"] == "3 of 3 attacks did not run"
    assert row["attacks"] == "0 of 3"


@pytest.mark.parametrize(
    ("passed", "said"), [(True, "pass"), (False, "FAIL"), (pd.NA, "not judged")]
)
def test_parity_says_its_verdict_in_a_word(
    results: Results, measured: Measured, passed: object, said: str
) -> None:
    one = measured.parity.head(1).astype({"passed": object}).assign(passed=passed)
    assert tables.parity_table(results, one)["result"].iloc[0] == said


def test_notes_count_what_went_wrong(results: Results, measured: Measured) -> None:
    odd = measured.attacks.head(1).assign(
        invalid=2, reasons="2 over budget", borderline=3, abstained=1, flag="INVALID: gave up"
    )
    note = tables.attack_table(results, odd)["note"].iloc[0]
    assert note == "INVALID: gave up; 2 over budget; 3 borderline; 1 abstained"


def test_parameters_are_written_out_once_an_attack(results: Results) -> None:
    table = tables.parameter_table(results)
    pgd = table[table["attack"] == "pgd"].iloc[0]
    assert len(table) == 4
    assert pgd["eps"] == "8/255, 24/255"
    assert "random_start no" in pgd["parameters"]
    assert "step_size 2/255" in pgd["parameters"]


def test_variants_of_an_attack_are_told_apart(results: Results) -> None:
    pgd = results.cells["attack"] == "pgd"
    plain = tables.names(results)
    assert {plain[cell] for cell in results.cells.loc[pgd, "cell"]} == {"pgd"}
    again = results.cells[pgd].assign(
        cell="again-" + results.cells["cell"],
        parameters=[
            {**given, "random_start": True, "steps": 20, "eot": 1}
            for given in results.cells[pgd]["parameters"]
        ],
    )
    aimed = results.cells[pgd].assign(
        cell="aimed-" + results.cells["cell"],
        norm="l2",
        parameters=[
            {**given, "targeted": "next", "restarts": 3}
            for given in results.cells[pgd]["parameters"]
        ],
    )
    aimless = results.cells[pgd].assign(cell="aimless-" + results.cells["cell"], norm="l2")
    cells = pd.concat([results.cells, again, aimed, aimless], ignore_index=True)
    called = tables.names(dataclasses.replace(results, cells=cells))
    cell = str(results.cells.loc[pgd, "cell"].iloc[0])
    assert called[cell] == "pgd, no random start, steps 10"
    assert called[f"again-{cell}"] == "pgd, random start, steps 20"
    assert called[f"aimed-{cell}"] == "pgd, restarts 3, targeted next"
    assert called[f"aimless-{cell}"] == "pgd, untargeted"
    assert {called[cell] for cell in results.cells.loc[~pgd, "cell"]} == {"deepfool", "cw", "noise"}


def test_report_without_cells_has_no_parameters(results: Results) -> None:
    bare = dataclasses.replace(results, cells=results.cells.head(0))
    assert tables.parameter_table(bare).empty
    assert tables.failure_table(bare).empty

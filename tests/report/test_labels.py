"""What attacks are called."""

from __future__ import annotations

import dataclasses

import pandas as pd

from bench.report.labels import attack_names
from bench.store.results import Results


def test_variants_of_an_attack_are_told_apart(results: Results) -> None:
    pgd = results.cells["attack"] == "pgd"
    plain = attack_names(results)
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
    called = attack_names(dataclasses.replace(results, cells=cells))
    cell = str(results.cells.loc[pgd, "cell"].iloc[0])
    assert called[cell] == "pgd, no random start, steps 10"
    assert called[f"again-{cell}"] == "pgd, random start, steps 20"
    assert called[f"aimed-{cell}"] == "pgd, restarts 3, targeted next"
    assert called[f"aimless-{cell}"] == "pgd, untargeted"
    assert {called[cell] for cell in results.cells.loc[~pgd, "cell"]} == {"deepfool", "cw", "noise"}

"""The plan of a run as `bench run --dry-run` prints it: a row a cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import rich_click as click

from bench.cli.display import print_table, say
from bench.report.labels import variants
from bench.runner.estimate import Estimate
from bench.runner.plan import Plan
from bench.runner.training import counted
from bench.spec import HANDED_IN_SURFACE, HANDED_IN_TOOLKIT, Cell
from bench.store.store import Store


def print_plan(plan: Plan, store: Store, expected: Estimate, as_json: bool) -> None:
    """Print the cells of a plan, what is left out of it, and how long the rest will take.

    Args:
        plan: of the run.
        store: which of its cells are done.
        expected: of those to do.
        as_json: a JSON line a cell, in place of a table.
    """
    cells = [*plan.cells.items(), *((None, cell) for cell in plan.later)]
    states = [_state(key, store, expected) for key, _ in cells]
    rows = [
        {
            "cell": key,
            "model": cell.model.title(),
            "attack": cell.attack.title(),
            "toolkit": HANDED_IN_TOOLKIT if cell.surface == HANDED_IN_SURFACE else cell.toolkit,
            "surface": cell.surface,
            "images": len(plan.images_of(cell)),
            **state,
        }
        for (key, cell), state in zip(cells, states, strict=True)
    ]
    if as_json:
        for record in rows:
            click.echo(json.dumps(record))
    else:
        called = _attacks([cell for _, cell in cells])
        print_table(
            [
                {**row, "cell": (row["cell"] or "")[:12], "attack": attack}
                for row, attack in zip(rows, called, strict=True)
            ],
            group="model",
        )
    for line in plan.left_out:
        say(f"left out: {line}")
    if plan.untrained:
        first, last = plan.untrained[0], plan.untrained[-1]
        named = first if first == last else f"from {first} to {last}"
        say(f"to be trained first: {counted(plan.untrained)}, {named}")
    say(expected.line())


def _state(key: str | None, store: Store, expected: Estimate) -> Mapping[str, Any]:
    """Return whether a cell is done, and the seconds that it will take if it is to do."""
    if key is None:
        return {"state": "not known yet", "seconds": None}
    if key in expected.seconds:
        return {"state": "to do", "seconds": round(expected.seconds[key], 1)}
    return {"state": "done" if store.is_done(key) else "not here", "seconds": None}


def _attacks(cells: list[Cell]) -> list[str]:
    """Return the attack of each cell with its threat, and with what tells it from its variants."""
    table = pd.DataFrame({
        "cell": [str(turn) for turn in range(len(cells))],
        "attack": [cell.attack.name for cell in cells],
        "norm": [cell.attack.norm for cell in cells],
        "eps": [cell.attack.eps for cell in cells],
        "data": [cell.images.data for cell in cells],
        "parameters": [dict(cell.attack.parameters) for cell in cells],
        "batch_size": [cell.batch_size for cell in cells],
    })  # fmt: skip
    names = variants(table)
    return [
        cell.attack.title() + names[str(turn)].removeprefix(cell.attack.name)
        for turn, cell in enumerate(cells)
    ]

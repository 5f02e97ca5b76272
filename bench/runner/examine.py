"""What is done about a run after its cells: its checks, and the attack that they call for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.measure.outcomes import Outcomes
from bench.runner.auto import Row, every_row_to_attack, plan_of, rows_to_attack
from bench.runner.checked_run import CheckedRun, checked_run
from bench.runner.compute import Event, one_by_one
from bench.runner.execute import Computing, Outcome, execute
from bench.runner.manifest import cell_facts
from bench.runner.plan import Plan
from bench.runner.scope import ALL_MISSING, Scope
from bench.runner.trust import CheckCounts, TrustLevel, make_checks
from bench.store.findings import checked
from bench.store.results import load_results
from bench.store.runlog import events, first_line, reopened
from bench.store.store import Store
from bench.trust.run_findings import run_findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is done to find out whether the figures of a run can be believed.

    Attributes:
        level: which checks of models and threats are made.
        passes: of the attack that is added where they find that others may have been misled, forward and
            backward, for each image; None for as many as it takes by itself.
    """

    level: TrustLevel = "quick"
    passes: int | None = None


QUICK = Effort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of it.

    Attributes:
        run: the name of the run to report: a new one where an attack was added.
        counts: how the checks went; None where none were made.
        outcome: of the attack that was added; None where none was.
    """

    run: str
    counts: CheckCounts | None = None
    outcome: Outcome | None = None


def examine(
    plan: Plan,
    store: Store,
    run: str,
    effort: Effort = QUICK,
    scope: Scope = ALL_MISSING,
    on_event: Callable[[Event], None] = lambda event: None,
    compute: Computing = one_by_one,
) -> Examined:
    """Make the checks of the models and threats of a run and, where they call for it, attack further.

    Args:
        plan: of the run.
        store: that it wrote to.
        run: its name.
        effort: how much is done.
        scope: of the run. A share of a suite is not checked, since other shares belong to its figures.
        on_event: as for `execute`; called with `{"event": "further", "plan": plan}` before an attack that is
            added.
        compute: computes the cells of that attack, as for `execute`.

    Raises:
        StoreError: the disk is full.
    """
    if effort.level == "off" or scope.shard is not None:
        return Examined(run=run)
    results = load_results(store.root, plan.suite.name, run=run)
    found = checked_run(plan, results)
    counts = make_checks(found, store, reopened(store, run), effort.level)
    made = replace(found.results, checked=checked(store.root, events(store, run)))
    if scope.overwrite == "never":
        return Examined(run=run, counts=counts)
    called = rows_to_attack(found, run_findings(Outcomes(made)), effort.level)
    further = _further(plan, found, called, effort.passes, store)
    if not further.cells:
        return Examined(run=run, counts=counts)
    done = results.cells.loc[results.cells["status"] == "done", "cell"]
    if set(further.cells) <= set(done):
        return Examined(run=run, counts=counts)
    on_event({"event": "further", "plan": further})
    outcome = execute(
        further, store, scope, on_event=on_event, request=_request(store, run, further),
        compute=compute,
    )  # fmt: skip
    return Examined(run=outcome.run, counts=counts, outcome=outcome)


def _further(
    plan: Plan, run: CheckedRun, called: Sequence[Row], passes: int | None, store: Store
) -> Plan:
    """Return a plan of the attack on the rows where it is called for, and where an earlier run made it.

    What an attack has found once is not forgotten because this run looks less closely.
    """
    everywhere = plan_of(plan, run, every_row_to_attack(run), passes)
    wanted = plan_of(plan, run, called, passes).cells.keys()
    cells = {
        key: cell for key, cell in everywhere.cells.items() if key in wanted or store.is_done(key)
    }
    return replace(everywhere, cells=cells)


def _request(store: Store, run: str, further: Plan) -> Mapping[str, Any]:
    """Return the first line of the log of a run that continues another with cells that nobody asked for."""
    start = first_line(store, run)
    asked = [cell for cell in start["cells"] if not cell.get("auto")]
    added = [
        cell_facts(key, cell, further.adapters[cell.model].spec.family) | {"auto": True}
        for key, cell in further.cells.items()
    ]
    return {**start, "cells": [*asked, *added], "continues": run}

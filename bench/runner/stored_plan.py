"""The plan of a run that ended, made again: its models as they are now, for checks of what it found."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Sequence

from bench.errors import SpecError
from bench.registry import literal
from bench.runner.loading import Setting
from bench.runner.plan import Plan, make_plan
from bench.runner.selection import Selection
from bench.runner.suite import load_suite
from bench.spec import ModelRequest
from bench.store.results import Results


def plan_again(
    suite: str,
    results: Results,
    setting: Setting,
    models: Sequence[str] = (),
    note: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Return the plan of a run with those of its models that are still as they were.

    Args:
        suite: a name or a path.
        results: what the run left.
        setting: where its models compute.
        models: globs over their titles; empty for all.
        note: called with each line that a user has to know, such as of a model that has changed.

    Raises:
        SpecError: no model matches.
        PrerequisiteError: data or weights are missing.
    """
    titles = [str(model["model"]) for model in results.models]
    globs = literal(models, titles) or ("*",)
    wanted = [title for title in titles if any(fnmatch.fnmatchcase(title, glob) for glob in globs)]
    if not wanted:
        raise SpecError(
            f"--model {', '.join(models)}: no model of the run; it has {', '.join(titles)}"
        )
    part = Selection(models=wanted, images=_images(results))
    plan = make_plan(load_suite(suite), part, setting, note=note)
    changed = {request for request in plan.suite.models if _differs(plan, request, results)}
    for request in changed:
        note(f"{request.title()} has changed since {results.run} was run, and is not checked")
    kept = tuple(request for request in plan.suite.models if request not in changed)
    return dataclasses.replace(plan, suite=dataclasses.replace(plan.suite, models=kept))


def _images(results: Results) -> int | str | None:
    """Return the number of images that a run was asked for in place of its suite's; None where it took these."""
    pairs = (results.asked or {}).get("images", [])
    if all(asked == of for asked, of in pairs):
        return None
    counts = {int(asked) for asked, _ in pairs}
    return counts.pop() if len(counts) == 1 else "all"  # data sets differ in how many are all


def _differs(plan: Plan, request: ModelRequest, results: Results) -> bool:
    """Return whether a model is another one than when its rows were made."""
    cells = results.cells
    done = cells[(cells["model"] == request.title()) & (cells["status"] == "done")]
    record = results.store.record(str(done["cell"].iloc[0])) if len(done) else None
    if record is None:
        return False
    before: str = record["identity"]["model"]["fingerprint"]
    return before != plan.fingerprints[request]

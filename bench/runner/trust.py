"""The checks of a run's models and threats: made after its cells, within a share of their time, and kept.

Those of rows and cells cost next to nothing and are made whenever a report is read
(`bench.trust.run_findings`). A record of the others is

    check, title, needs, level, doubts, masks, overstates     of `bench.trust.checks.registry.Check`
    made_on       all that decides what is found; its hash is the key of the record
    model, norm, eps    whose figures it is about; norm and eps are empty for all of the model's
    seconds, passes     what it took; passes over a single image are counted of threats alone
    findings      a list of `Finding`s, by name
    made, versions
"""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from bench.adapters.generators import device_of, seeded
from bench.registry import is_ours
from bench.runner.checked_run import CheckedRun
from bench.runner.manifest import versions
from bench.store.findings import found_key, read_found, write_found
from bench.store.runlog import RunLog
from bench.store.store import Store, now
from bench.trust.checks.registry import Check, Finding, Level, Needs, all_checks
from bench.trust.headline_trust import cannot_be_overstated
from bench.trust.run_findings import facts, plain
from bench.version import __version__

#: What `--trust` may say.
TrustLevel = Literal["off", "quick", "full"]

#: The largest share of the time of a run's attacks that its checks may take.
SHARES: Mapping[Level, float] = {"quick": 0.15, "full": 0.6}

#: Seconds that those of a threat may take however short the attacks were: a few passes.
LEAST: Mapping[Level, float] = {"quick": 1.0, "full": 4.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCounts:
    """How the checks of a run went.

    Attributes:
        made: how many were made now.
        kept: how many had been made before.
        not_made: how many were left out for want of time.
        seconds: how many seconds they took, when they were made.
        share: of the time of the run's attacks that they may take.
    """

    made: int
    kept: int
    not_made: int
    seconds: float
    share: float

    def line(self) -> str:
        """Return in words how the checks went."""
        words = f"checks: {self.made} made, {self.kept} kept, {self.seconds:.1f} s in all"
        if not self.not_made:
            return words
        most = f"{100 * self.share:.0f} % of the attacks' time"
        return f"{words}; {self.not_made} not made, since checks may take {most}"


@dataclass(frozen=True, eq=False, kw_only=True)
class _Item:
    """A check, and what it is made on: a model of a run, or a row of its headline."""

    check: Check
    run: CheckedRun
    title: str
    row: Mapping[Any, Any] | None = None

    @cached_property
    def made_on(self) -> dict[str, Any]:
        """All that decides what the check finds."""
        model, results = self.run.models[self.title], self.run.results
        named: dict[str, Any] = {
            "check": self.check.id,
            "code": code_of(self.check),
            "model": {"title": self.title, **model.named},
            "images": self.run.checksum(self.title),
            "bounds": dict(results.bounds),
        }
        if self.row is None:
            return named
        cells = self.run.cells_at(self.row)
        done = cells.loc[cells["status"] == "done", "cell"]
        return named | {
            "threat": [self.row["norm"], self.row["eps_text"]],
            "n": int(self.row["n"]),
            "cells": sorted(done),
            "seed": results.protocol["seed"],
        }

    def about(self) -> dict[str, Any]:
        """Return whose figures the check is about."""
        row = self.row or {"norm": "", "eps": None}
        eps = row["eps"]
        return {
            "model": self.title, "norm": row["norm"], "eps": None if eps is None else float(eps),
        }  # fmt: skip


@dataclass(slots=True)
class _Account:
    """The time that the checks of a run may take, and what they took.

    Attributes:
        share: seconds for all of them.
        least: seconds for those of threats at any rate.
    """

    share: float
    least: float
    models: float = 0.0
    threats: float = 0.0
    last: dict[str, float] = field(default_factory=dict)

    def allows(self, check: Check) -> bool:
        """Return whether there is time for a check, if it takes as long as it did the last time.

        Those of a model are a few passes, which there is always time for.
        """
        if check.needs == "model":
            return True
        room = max(self.share - self.models, self.least)
        return self.threats + self.last.get(check.id, 0.0) < room

    def add(self, check: Check, seconds: float) -> None:
        if check.needs == "model":
            self.models += seconds
        else:
            self.threats += seconds
        self.last[check.id] = seconds


def make_checks(run: CheckedRun, store: Store, log: RunLog, level: Level) -> CheckCounts:
    """Make the checks of the models and threats of a run, and log what they found.

    What was made before is not made again, and is not forgotten: at level `quick`, those that an earlier run
    made at level `full` count too. Those of models come first, then check by check those of all
    threats, so that what time is left for is the same for all of them.

    Args:
        run: what is checked.
        store: keeps the findings.
        log: of the run.
        level: which checks, and which share of the run's time.

    Raises:
        StoreError: the disk is full.
    """
    account = _Account(share=SHARES[level] * run.seconds, least=LEAST[level] * len(run.headline))
    stopped: set[str] = set()
    not_made: list[dict[str, Any]] = []
    kept: list[str] = []
    made = before = 0
    wanted = ("quick", "full") if level == "full" else ("quick",)
    for item in _items(run):
        if item.title in stopped:
            continue
        key = found_key(item.made_on)
        record = read_found(store.root, key)
        if record is not None:
            kept.append(key)
            before += 1
        elif item.check.level not in wanted:
            continue
        elif account.allows(item.check):
            record = _record(item)
            write_found(store.root, key, record)
            log.append({"event": "checked", "findings": [*kept, key]})
            kept.clear()
            made += 1
        else:
            not_made.append({**facts(item.check), "level": item.check.level, **item.about()})
            continue
        if item.check.level in wanted:
            account.add(item.check, record["seconds"])
        if item.check.required and any(found["status"] == "fail" for found in record["findings"]):
            stopped.add(item.title)
    if kept:
        log.append({"event": "checked", "findings": kept})
    log.append({"event": "trust", "level": level, "not_made": not_made})
    seconds = account.models + account.threats
    return CheckCounts(
        made=made, kept=before, not_made=len(not_made), seconds=seconds, share=SHARES[level]
    )


def _items(run: CheckedRun) -> Iterator[_Item]:
    """Yield the checks of a run's models, then those of its threats, the cheap ones first."""
    for check in _checks("model"):
        for title in run.models:
            yield _Item(check=check, run=run, title=title)
    checks = _checks("threat")
    if not checks:
        return
    near_zero = run.bounds["verdict.near-zero"]
    rows = [
        row
        for row in run.headline.to_dict("records")
        if row["model"] in run.models
        and row["robust_accuracy"] == row["robust_accuracy"]
        and not cannot_be_overstated(row, near_zero)
    ]
    for check in checks:
        for row in rows:
            yield _Item(check=check, run=run, title=str(row["model"]), row=row)


def _checks(needs: Needs) -> list[Check]:
    """Return the checks of a kind, quick ones first."""
    found = [check for check in all_checks().values() if check.needs == needs]
    return [check for one in get_args(Level) for check in found if check.level == one]


def _record(item: _Item) -> dict[str, Any]:
    """Make a check and return its record."""
    run, check = item.run, item.check
    began, before = time.perf_counter(), 0
    with seeded(0, device_of(run.models[item.title].adapter)):
        if item.row is None:
            found, passes = check.findings_at_any_rate(run.checked_models[item.title]), None
        else:
            threat = run.threat(item.row)
            before = threat.passes
            found = check.findings_at_any_rate(threat)
            passes = threat.passes - before
    return {
        **facts(check),
        "needs": check.needs,
        "level": check.level,
        "made_on": item.made_on,
        **item.about(),
        "seconds": round(time.perf_counter() - began, 4),
        "passes": passes,
        "findings": [plain(_placed(finding, item)) for finding in found],
        "made": now(),
        "versions": versions(),
    }


def _placed(finding: Finding, item: _Item) -> Finding:
    """Return a finding that says whose figures it is about."""
    about = item.about()
    if finding.model or finding.cell:
        return finding
    return replace(finding, model=about["model"], norm=about["norm"], eps=about["eps"])


@cache
def code_of(check: Check) -> str:
    """Return a text that changes with the code of a check: of Crossfire's, or of the file it is written in."""
    if is_ours(getattr(check.run, "__module__", None)):
        return f"{__version__} {_own_code()}"
    try:
        source = Path(inspect.getsourcefile(inspect.unwrap(check.run)) or "").read_bytes()
    except (TypeError, OSError):  # typed in, or made by a call
        source = repr(check.run).encode()
    return f"{__version__} {_own_code()} {hashlib.sha256(source).hexdigest()[:16]}"


@cache
def _own_code() -> str:
    """Return a digest of all that Crossfire's checks are written in."""
    digest = hashlib.sha256()
    room = Path(str(files("bench.trust")))
    for path in sorted([*room.glob("*.py"), *room.glob("*.toml"), *room.glob("checks/*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]

"""The table of checks: Crossfire's own, plain functions in this package, and those of plug-ins."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal, get_args

from bench.errors import BenchError, SpecError
from bench.registry import Entry, first_line, users_code, where
from bench.trust import checks

Status = Literal["pass", "warn", "fail", "not applicable"]

#: What a check is given: a model (`bench.trust.checked_model.CheckedModel`), the rows of a run
#: (`bench.measure.outcomes.Outcomes`) or its cells (`bench.store.results.Results`).
Needs = Literal["model", "rows", "cells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of a check.

    Attributes:
        status: `pass`; `warn`: figures are right, but a reader must know this; `fail`: figures cannot be
            trusted; `not applicable`: there is nothing to check here.
        sentence: the result in words, without a full stop.
        value: the number that was compared with the bound; None if there is none.
        bound: what is required of the value, in words; empty if there is none.
        remedy: what to do about it; empty if there is nothing to do.
        subject: the part of a model or run it is about, such as a surface; empty for the whole.
    """

    status: Status
    sentence: str
    value: float | None = None
    bound: str = ""
    remedy: str = ""
    subject: str = ""

    def line(self) -> str:
        """Return the sentence and the remedy as one line."""
        return f"{self.sentence}: {self.remedy}" if self.remedy else self.sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A test of whether a model or a run can be trusted.

    Attributes:
        id: its unique name, words joined by hyphens.
        title: what holds if it passes, in a few words.
        needs: what `run` is given.
        run: returns a finding, or one for each part of what it is given.
        required: whether the other checks are skipped if this one fails, since they make no sense then.
    """

    id: str
    title: str
    needs: Needs
    run: Callable[[Any], Finding | Sequence[Finding]]
    required: bool = False

    def findings(self, subject: Any) -> list[Finding]:
        """Return the findings of the check on a subject of the kind in `needs`.

        Raises:
            BenchError: the check itself fails, or returns no findings; the message says where.
        """
        try:
            with users_code():
                returned: object = self.run(subject)
        except BenchError:
            raise
        except Exception as error:  # a check is anybody's code
            raise BenchError(
                f"check {self.id!r} failed itself: {where(error)}: {first_line(error)}"
            ) from error
        findings = [returned] if isinstance(returned, Finding) else returned
        if not isinstance(findings, list | tuple) or not all(
            isinstance(finding, Finding) for finding in findings
        ):
            raise SpecError(
                f"check {self.id!r} returned {type(returned).__name__}; return "
                f"bench.Finding(status=..., sentence=...) or a list of findings"
            )
        return list(findings)

    def label(self, finding: Finding) -> str:
        """Return the name of the check on a subject for tables, such as `gradient of network`."""
        name = self.id.replace("-", " ")
        return f"{name} of {finding.subject}" if finding.subject else name


_REGISTERED: dict[str, Check] = {}


def register_check(check: Check) -> None:
    """Add a check, which `bench validate` (or the command for what the check needs) then runs too.

    Raises:
        SpecError: the name is taken by another check, or `needs` has an unknown value.
    """
    if check.needs not in get_args(Needs):
        raise SpecError(
            f"check {check.id!r} needs {check.needs!r}; write {', '.join(get_args(Needs))}"
        )
    held = all_checks().get(check.id)
    if held is not None and _origin(held) != _origin(check):
        raise SpecError(
            f"a check named {check.id!r} is there already, by {_origin(held)}; rename yours"
        )
    _REGISTERED[check.id] = check


def _origin(check: Check) -> str:
    return Entry(check.run, {}).origin()


def all_checks() -> dict[str, Check]:
    """Return all checks by name: Crossfire's own in the order of their files, then those of plug-ins."""
    return _own_checks() | _REGISTERED


@cache
def _own_checks() -> dict[str, Check]:
    modules = [
        import_module(f"{checks.__name__}.{module.name}")
        for module in pkgutil.iter_modules(checks.__path__)
    ]
    values = [value for module in modules for value in vars(module).values()]
    return {value.id: value for value in values if isinstance(value, Check)}


def run_checks(
    needs: Needs, subject: Any, without: Collection[str] = ()
) -> list[tuple[Check, Finding]]:
    """Return the findings of all checks with the same `needs`, in order.

    Args:
        needs: which checks to run.
        subject: what they are given.
        without: names of checks that are left out.

    Raises:
        BenchError: a check itself fails.
    """
    results: list[tuple[Check, Finding]] = []
    for check in all_checks().values():
        if check.needs != needs or check.id in without:
            continue
        findings = check.findings(subject)
        results += [(check, finding) for finding in findings]
        if check.required and any(finding.status == "fail" for finding in findings):
            break
    return results

"""The table of checks: Crossfire's own, plain functions in this package, and those of plug-ins."""

from __future__ import annotations

import os
import pkgutil
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal, get_args

from bench.errors import BenchError, SpecError
from bench.registry import Entry, check_origin, check_type, first_line, users_code, where
from bench.trust import checks

Status = Literal["pass", "warn", "fail", "not applicable"]

#: What a check is given: a model (`bench.trust.checked_model.CheckedModel`), the rows of a run
#: (`bench.measure.outcomes.Outcomes`), its cells (`bench.store.results.Results`), or a model under one
#: threat of a run, which may be attacked further (`bench.trust.checked_threat.CheckedThreat`).
Needs = Literal["model", "rows", "cells", "threat"]

#: When `bench run` makes a check: always, or only with `--trust full`.
Level = Literal["quick", "full"]


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
        model: the title of the model whose figures it is about; empty where it is about all of a run, or
            about the one model under check.
        norm: of the threat that it is about; empty for all.
        eps: the radius of that threat; None for all of the norm.
        cell: the key of the one cell that it is about; empty where it is about more.
    """

    status: Status
    sentence: str
    value: float | None = None
    bound: str = ""
    remedy: str = ""
    subject: str = ""
    model: str = ""
    norm: str = ""
    eps: float | None = None
    cell: str = ""

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
        level: when `bench run` makes it.
        doubts: whether a figure is doubtful where this check warns; if not, its warning is only a note.
        masks: whether what it finds means that attacks may have been misled, as by a gradient that lies;
            then `adaptive`, which needs no such gradient, is tried, and answers it.
        overstates: whether what it finds can only make robust accuracy look higher than it is; then it says
            nothing against one that is near 0.
    """

    id: str
    title: str
    needs: Needs
    run: Callable[[Any], Finding | Sequence[Finding]]
    required: bool = False
    level: Level = "quick"
    doubts: bool = True
    masks: bool = False
    overstates: bool = True

    def findings(self, subject: Any) -> list[Finding]:
        """Return the findings of the check on a subject of the kind in `needs`.

        Raises:
            BenchError: the check itself fails, or returns no findings; the message says where.
        """
        try:
            returned = self._returned(subject)
        except BenchError:
            raise
        except Exception as error:  # a check is anybody's code
            raise BenchError(
                f"check {self.id!r} failed itself: {where(error)}: {first_line(error)}"
            ) from error
        why = _wrong(returned)
        if why is not None:
            raise SpecError(f"check {self.id!r} returned {why}")
        return _listed(returned)

    def findings_at_any_rate(self, subject: Any) -> list[Finding]:
        """Return the findings of the check, of one that fails itself that it did.

        For checks of a run: what a run has found must not be lost to a check of it.
        """
        try:
            returned = self._returned(subject)
        except (Exception, SystemExit) as error:  # a check is anybody's code
            said = str(error) if isinstance(error, BenchError) else first_line(error)
            return [_failed(where(error), said)]
        why = _wrong(returned)
        if why is not None:
            return [_failed(_defined(self.run), f"it returned {why}")]
        return _listed(returned)

    def _returned(self, subject: Any) -> object:
        with users_code():
            return self.run(subject)

    def label(self, finding: Finding) -> str:
        """Return the name of the check on a subject for tables, such as `gradient of network`."""
        name = self.id.replace("-", " ")
        return f"{name} of {finding.subject}" if finding.subject else name


def _listed(returned: Any) -> list[Finding]:
    return [returned] if isinstance(returned, Finding) else list(returned)


#: How the finding on a check begins that could not be made. It says nothing about the figures.
ITSELF_FAILED = "the check itself failed"


def _failed(place: str, what: str) -> Finding:
    return Finding(
        status="fail", sentence=f"{ITSELF_FAILED}: {place}: {what}", remedy="mend the check"
    )


def _defined(run: Callable[..., Any]) -> str:
    """Return the file, without its folder, and the line where a check is defined."""
    return Entry(run, {}).origin().rpartition(os.sep)[2]


def _wrong(returned: object) -> str | None:
    """Return in words what is wrong with what a check returned; None where nothing is."""
    findings = [returned] if isinstance(returned, Finding) else returned
    if not isinstance(findings, list | tuple) or not all(
        isinstance(finding, Finding) for finding in findings
    ):
        return (
            f"{type(returned).__name__}; return bench.Finding(status=..., sentence=...) or a list of "
            "findings"
        )
    return next((why for finding in findings if (why := _wrong_field(finding)) is not None), None)


def _wrong_field(finding: Finding) -> str | None:
    if finding.status not in get_args(Status):
        return f"status={finding.status!r}; write {', '.join(get_args(Status))}"
    if finding.value is not None and not _is_number(finding.value):
        return f"value={finding.value!r}, which is no number; give a number or None"
    if finding.eps is not None and not _is_number(finding.eps):
        return f"eps={finding.eps!r}, which is no number; give a number or None"
    for name in ("sentence", "bound", "remedy", "subject", "model", "norm", "cell"):
        said = getattr(finding, name)
        if not isinstance(said, str):
            return f"{name}={said!r}, which is no text; write a text"
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | str | bytes):
        return False
    try:
        float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
    return True


_REGISTERED: dict[str, Check] = {}

_ID = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


def register_check(check: Check) -> None:
    """Add a check, which `bench validate` (or the command for what the check needs) then runs too.

    Raises:
        SpecError: it is no check, the name is taken by another one, or a field has an unknown value.
    """
    check_type("register_check", check, Check)
    _check_fields(check)
    held = all_checks().get(check.id)
    origin = None if held is None else Entry(held.run, {}).origin()
    check_origin("check", check.id, origin, Entry(check.run, {}).origin())
    _REGISTERED[check.id] = check


def _check_fields(check: Check) -> None:
    """Raise unless the fields of a check can be used."""
    named: object = check.id
    if not isinstance(named, str) or not _ID.fullmatch(named):
        raise SpecError(
            f"check {named!r}: its id must be words joined by hyphens, such as 'gradient-norm'"
        )
    title: object = check.title
    if not isinstance(title, str) or not title.strip():
        raise SpecError(
            f"check {named!r}: title={title!r}; say in a few words what holds if it passes"
        )
    if check.needs not in get_args(Needs):
        raise SpecError(
            f"check {named!r} needs {check.needs!r}; write {', '.join(get_args(Needs))}"
        )
    if check.level not in get_args(Level):
        raise SpecError(
            f"check {named!r}: level={check.level!r}; write {', '.join(get_args(Level))}"
        )
    if not callable(check.run):
        raise SpecError(
            f"check {named!r}: run={check.run!r} cannot be called; give a function that returns "
            "bench.Finding(...)"
        )


def all_checks() -> dict[str, Check]:
    """Return all checks by name: Crossfire's own, required ones first, then those of plug-ins."""
    return _own_checks() | _REGISTERED


@cache
def _own_checks() -> dict[str, Check]:
    modules = [
        import_module(f"{checks.__name__}.{module.name}")
        for module in pkgutil.iter_modules(checks.__path__)
    ]
    values = [value for module in modules for value in vars(module).values()]
    found = [value for value in values if isinstance(value, Check)]
    return {check.id: check for check in sorted(found, key=lambda check: not check.required)}


def run_checks(
    needs: Needs, subject: Any, without: Collection[str] = ()
) -> list[tuple[Check, Finding]]:
    """Return the findings of all checks with the same `needs`, in order.

    Args:
        needs: which checks to run.
        subject: what they are given.
        without: names of checks that are left out.

    Raises:
        BenchError: a check of a model itself fails; where one of a run does, that is a finding.
    """
    results: list[tuple[Check, Finding]] = []
    for check in all_checks().values():
        if check.needs != needs or check.id in without:
            continue
        find = check.findings if needs == "model" else check.findings_at_any_rate
        findings = find(subject)
        results += [(check, finding) for finding in findings]
        if check.required and any(finding.status == "fail" for finding in findings):
            break
    return results

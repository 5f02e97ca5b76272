"""Which sections a report has: a file each in `bench/report/sections`, those of studies, those of plug-ins."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from numbers import Real

import pandas as pd

from bench.errors import SpecError
from bench.registry import Entry
from bench.report import sections
from bench.report.blocks import Section
from bench.report.findings import Findings
from bench.suite_files import study_modules


def _no_frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionRule:
    """A section that reports may have.

    Attributes:
        name: of the section; no two have the same.
        place: any number; sections stand in the order of their places, and no two have the same.
        make: the section of a run; None where the run has nothing for it.
        frames: raw numbers by name, each written as `SUITE-NAME.csv` where a run has them. A name is
            of letters, digits, `-`, `_` and `.`, as are those of tables and figures, and no other
            section has it.
    """

    name: str
    place: float
    make: Callable[[Findings], Section | None]
    frames: Callable[[Findings], Mapping[str, pd.DataFrame]] = _no_frames


_REGISTERED: dict[str, SectionRule] = {}


def register_section(rule: SectionRule) -> None:
    """Let every report have a section more.

    Raises:
        SpecError: this is no section, or there is another one of that name or at that place.
    """
    _REGISTERED[rule.name] = _fitting(rule, section_rules())


def section_rules() -> list[SectionRule]:
    """Return the rules of all sections, in the order of their places.

    Raises:
        SpecError: the section of a study is none, or has the name or the place of another.
    """
    named = {rule.name: rule for rule in _own_rules()}
    for module in study_modules("section"):
        rule = _fitting(getattr(module, "SECTION", None), named.values(), f"{module.__file__}: ")
        named[rule.name] = rule
    for registered in _REGISTERED.values():
        named[registered.name] = _fitting(registered, named.values())
    return sorted(named.values(), key=lambda rule: rule.place)


@cache
def _own_rules() -> tuple[SectionRule, ...]:
    names = (module.name for module in pkgutil.iter_modules(sections.__path__))
    return tuple(import_module(f"{sections.__name__}.{name}").SECTION for name in names)


def _fitting(rule: object, others: Collection[SectionRule], file: str = "") -> SectionRule:
    """Return a rule that can stand beside others.

    Args:
        rule: anything that somebody's code gives as one.
        others: the sections that are there already.
        file: whose `SECTION` it is, for messages; empty of what is registered.
    """
    what = f"{file}SECTION" if file else "bench.register_section"
    if not isinstance(rule, SectionRule):
        raise SpecError(
            f"{what} takes bench.SectionRule(name=..., place=..., make=...), not "
            f"{type(rule).__name__}"
        )
    name: object = rule.name
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"{what}: the name of a section is a word, not {name!r}")
    for attribute in ("make", "frames"):
        if not callable(getattr(rule, attribute)):
            raise SpecError(
                f"{what}: {attribute!r} of section {rule.name!r} is no function; write "
                f"{attribute}=FUNCTION, which takes the findings of a run"
            )
    place: object = rule.place
    if isinstance(place, bool) or not isinstance(place, Real) or not math.isfinite(place):
        raise SpecError(
            f"{what}: the place of section {rule.name!r} is {place!r}; give a number, such as 157"
        )
    for other in others:
        if other.name == rule.name and origin(other.make) != origin(rule.make):
            raise SpecError(
                f"a section named {rule.name!r} is there already, by {origin(other.make)}; rename yours"
            )
        if other.name != rule.name and other.place == rule.place:
            raise SpecError(
                f"section {rule.name!r} has the place {rule.place:g} of section {other.name!r}; give "
                f"another number, such as {rule.place + 0.5:g}"
            )
    return rule


def origin(function: Callable[..., object]) -> str:
    """Return where a function of a section is defined."""
    return Entry(function, {}).origin()

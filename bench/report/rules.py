"""Which sections a report has: a file each in `bench/report/sections`, those of studies, those of plug-ins."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

import pandas as pd

from bench.errors import SpecError
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
        place: sections stand in the order of their places; no two of ours have the same. Ours are
            multiples of 10, so that others find room between them.
        make: the section of a run; None where the run has nothing for it.
        frames: raw numbers, each written as `SUITE-NAME.csv` where a run has them.
    """

    name: str
    place: float
    make: Callable[[Findings], Section | None]
    frames: Callable[[Findings], Mapping[str, pd.DataFrame]] = _no_frames


_REGISTERED: dict[str, SectionRule] = {}


def register_section(rule: SectionRule) -> None:
    """Let every report have a section more.

    Raises:
        SpecError: there is another section of that name.
    """
    held = {known.name: known for known in section_rules()}.get(rule.name)
    if held is not None and _origin(held) != _origin(rule):
        raise SpecError(
            f"a section named {rule.name!r} is there already, by {_origin(held)}; rename yours"
        )
    _REGISTERED[rule.name] = rule


def _origin(rule: SectionRule) -> str:
    return f"{rule.make.__module__}:{rule.make.__qualname__}"


def section_rules() -> list[SectionRule]:
    """Return the rules of all sections, in the order of their places."""
    own = [
        import_module(f"{sections.__name__}.{module.name}")
        for module in pkgutil.iter_modules(sections.__path__)
    ]
    found: list[SectionRule] = [module.SECTION for module in (*own, *study_modules("section"))]
    named = {rule.name: rule for rule in found} | _REGISTERED
    return sorted(named.values(), key=lambda rule: rule.place)

"""The bounds of the checks: those of `bounds.toml`, and what a suite says in their place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from bench.registry import unknown


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of the checks, read as `bounds["doubled-steps.gain"]`.

    Attributes:
        replaced: those of a suite, by name.
    """

    replaced: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.replaced[name] if name in self.replaced else shipped()[name]


@cache
def shipped() -> Mapping[str, float]:
    """Return the bounds of `bounds.toml` by name: the check, a dot, and what is bounded."""
    text = files("bench.trust").joinpath("bounds.toml").read_text(encoding="utf-8")
    return {
        f"{check}.{name}": float(value)
        for check, table in tomllib.loads(text).items()
        for name, value in table.items()
    }


def check_bounds(tables: Mapping[str, Mapping[str, float]]) -> tuple[tuple[str, float], ...]:
    """Return the bounds of a suite's `[trust]` table by name, sorted.

    Args:
        tables: by check, its bounds.

    Raises:
        SpecError: there is no such bound.
    """
    given = {
        f"{check}.{name}": float(value)
        for check, table in tables.items()
        for name, value in table.items()
    }
    for name in given:
        if name not in shipped():
            raise unknown("bound", name, list(shipped()))
    return tuple(sorted(given.items()))

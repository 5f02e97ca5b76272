"""The bounds of the checks: those of `bounds.toml`, and what a suite says in their place."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from bench.errors import SpecError
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
    return {name: float(value) for name, value in _written().items()}


def _written() -> dict[str, float | int]:
    text = files("bench.trust").joinpath("bounds.toml").read_text(encoding="utf-8")
    return {
        f"{check}.{name}": value
        for check, table in tomllib.loads(text).items()
        for name, value in table.items()
    }


@cache
def counts() -> frozenset[str]:
    """Return the bounds that are counts, such as steps: those that `bounds.toml` writes without a point."""
    return frozenset(name for name, value in _written().items() if isinstance(value, int))


def check_bounds(tables: Mapping[str, object]) -> tuple[tuple[str, float], ...]:
    """Return the bounds of a suite's `[trust]` table by name, sorted.

    Args:
        tables: by check, a mapping of its bounds.

    Raises:
        SpecError: there is no such bound, or its value can be none.
    """
    given = []
    for check, table in tables.items():
        if not isinstance(table, Mapping):
            raise SpecError(
                f"{check} = {table!r}: bounds stand in the table of their check, such as "
                f"[trust.{_known(check)}]"
            )
        given += [(f"{check}.{name}", value) for name, value in table.items()]
    return tuple(sorted((name, _checked(name, value)) for name, value in given))


def _known(check: str) -> str:
    """Return a check with such a bound or name, as an example."""
    checks = [name.split(".") for name in shipped()]
    return next((one for one, bound in checks if check in (one, bound)), checks[0][0])


def _checked(name: str, value: object) -> float:
    """Return the value of a bound, a number of 0 or more, or a whole one of 1 or more where it counts."""
    if name not in shipped():
        raise unknown("bound", name, list(shipped()))
    count = name in counts()
    what = "a whole number of 1 or more" if count else "a number of 0 or more"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"{name} = {value!r}: write {what}")
    if not math.isfinite(value) or value < count or (count and value != int(value)):
        raise SpecError(f"{name} = {value}: write {what}")
    return float(value)

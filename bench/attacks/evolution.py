"""Differential evolution in ART and torchattacks, with populations of exactly the requested size."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any


def exact_population(method: Any, solver: type[Any]) -> Callable[..., Any]:
    """Return a method of an attack, changed to use a population of `self.members` members.

    Both toolkits give their copy of scipy's `differential_evolution` a population size in multiples of
    the number of parameters (2 + C per pixel), rounded down, and under numpy 2 an initial population can
    no longer be passed. So the method is rebuilt with a solver of exactly that many members.

    Args:
        method: a method that calls `differential_evolution` of its own module.
        solver: `DifferentialEvolutionSolver` of that module.
    """

    def rebound(self: Any, *args: Any) -> Any:
        class Exact(solver):  # type: ignore[misc]
            # The solver sets it and reads it back.
            num_population_members = property(lambda _: self.members, lambda *_: None)

        def evolve(*words: Any, **named: Any) -> Any:
            return Exact(*words, **named).solve()

        names = {**method.__globals__, "differential_evolution": evolve}
        return FunctionType(method.__code__, names, method.__name__, method.__defaults__)(
            self, *args
        )

    return rebound

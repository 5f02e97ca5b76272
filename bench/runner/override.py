"""Values of a command line that replace those of a suite: other radii, steps or seed."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.attacks.catalogue import is_minimal, row_of
from bench.errors import SpecError
from bench.spec import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """New values for every attack that has the parameter; parameters without a value stay as they are.

    Attributes:
        eps: radii of all attacks that take one, as text; a step size that the suite does not give follows
            the radius.
        steps: numbers of steps of all attacks with a parameter `steps`.
        seed: of the whole run.
        attacks: globs over the names of the attacks to change; none for all.
    """

    eps: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    seed: int | None = None
    attacks: Sequence[str] = ()

    def check(self, names: Iterable[str], suite: str) -> None:
        """Check the values against a suite's attacks.

        Raises:
            SpecError: a value that no attack of the suite takes, or that is not a number.
        """
        for radius in self.eps:
            number(radius, "--eps")
        named = list(names)
        for parameter in ("eps", "steps"):
            if getattr(self, parameter) and not any(self._takes(name, parameter) for name in named):
                raise SpecError(
                    f"--{parameter}: none of these attacks of suite {suite} takes {parameter}"
                )

    def axes(self, name: str, own: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the values of an attack's parameters, with the suite's replaced by the command's.

        Args:
            name: of the attack.
            own: the suite's values of each parameter; each combination makes an attack.
        """
        changed = {
            parameter: list(getattr(self, parameter))
            for parameter in ("eps", "steps")
            if getattr(self, parameter) and self._takes(name, parameter)
        }
        return own | changed

    def changes_attacks(self) -> bool:
        """Return whether attacks differ from the suite's, so that its claims are not about them."""
        return bool(self.eps or self.steps)

    def title(self, own: str) -> str:
        """Return a suite's title, extended by the values that were replaced."""
        changes = [f"eps {', '.join(self.eps)}"] if self.eps else []
        changes += [f"steps {', '.join(map(str, self.steps))}"] if self.steps else []
        changes += [] if self.seed is None else [f"seed {self.seed}"]
        return f"{own} ({', '.join(changes)})" if changes else own

    def _takes(self, name: str, parameter: str) -> bool:
        if self.attacks and not any(fnmatch.fnmatchcase(name, glob) for glob in self.attacks):
            return False
        return not is_minimal(name) if parameter == "eps" else parameter in row_of(name).parameters


#: No replacements.
AS_IT_IS = Overrides()

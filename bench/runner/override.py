"""What a command says in place of a suite's own words: other radii, steps or seed."""

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
    """Other values for every attack that has the word; words that are not given stay as they are.

    Attributes:
        eps: radii of all attacks that take one, as text; a step size the suite does not give follows.
        steps: numbers of steps of all attacks that count them in this word.
        seed: of the whole run.
        attacks: globs over the names of the attacks meant; none for all.
    """

    eps: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    seed: int | None = None
    attacks: Sequence[str] = ()

    def check(self, names: Iterable[str], suite: str) -> None:
        """Raise where a value is for none of a suite's attacks, or is no number.

        Raises:
            SpecError: it is not.
        """
        for radius in self.eps:
            number(radius, "--eps")
        named = list(names)
        for parameter in ("eps", "steps"):
            if getattr(self, parameter) and not any(self._takes(name, parameter) for name in named):
                raise SpecError(
                    f"--{parameter}: none of these attacks of suite {suite} takes {parameter}"
                )

    def axes(self, name: str, given: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the values of an attack's parameters, those of this command in place of the suite's.

        Args:
            name: of the attack.
            given: parameter to its values, of which each makes an attack.
        """
        changed = {
            parameter: list(getattr(self, parameter))
            for parameter in ("eps", "steps")
            if getattr(self, parameter) and self._takes(name, parameter)
        }
        return given | changed

    def changes_attacks(self) -> bool:
        """Return whether attacks are others than the suite's, so that its claims are not about them."""
        return bool(self.eps or self.steps)

    def title(self, own: str) -> str:
        """Return a suite's title with what is said in place of its own words."""
        changes = [f"eps {', '.join(self.eps)}"] if self.eps else []
        changes += [f"steps {', '.join(map(str, self.steps))}"] if self.steps else []
        changes += [] if self.seed is None else [f"seed {self.seed}"]
        return f"{own} ({', '.join(changes)})" if changes else own

    def _takes(self, name: str, parameter: str) -> bool:
        if self.attacks and not any(fnmatch.fnmatchcase(name, glob) for glob in self.attacks):
            return False
        return not is_minimal(name) if parameter == "eps" else parameter in row_of(name).parameters


#: Nothing in place of anything.
AS_IT_IS = Overrides()

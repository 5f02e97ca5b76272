"""An attack in the words that all toolkits share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.spec.numbers import number
from bench.spec.words import Goal, Norm, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackSpec:
    """An attack in canonical words: algorithm, threat and parameters, whichever toolkit runs it.

    Attributes:
        eps: the radius as exact text (`"8/255"`); None for a minimal-norm attack.
        parameters: every parameter with its value, sorted by name, defaults written out.
    """

    name: str
    norm: Norm
    eps: str | None = None
    parameters: tuple[tuple[str, Scalar], ...] = ()

    def parameter(self, name: str) -> Any:
        """Return the value of one parameter."""
        return dict(self.parameters)[name]

    def amount(self, name: str) -> float:
        """Return a parameter that may be written as a fraction, as a float."""
        return number(self.parameter(name), name)

    @property
    def radius(self) -> float | None:
        """Return eps as a number, in pixel units of [0, 1]."""
        return None if self.eps is None else number(self.eps, "eps")

    @property
    def targeted(self) -> str:
        """Return how targets are chosen: `none`, `next`, `least-likely`, `random` or a class."""
        return str(dict(self.parameters).get("targeted", "none"))

    @property
    def source(self) -> int | None:
        """Return the class whose images alone are attacked; None for those of every class."""
        source = dict(self.parameters).get("source")
        return None if source is None else int(source)

    @property
    def least_confidence(self) -> float:
        """Return how sure a model has to be of an image for it to be attacked; 0 for of all."""
        return number(dict(self.parameters).get("least_confidence", 0), "least_confidence")

    @property
    def goal(self) -> Goal:
        """Return what counts as success (Papernot et al., 2016, section 3).

        `misclassification` any other label; `targeted` the wanted one; `source-target` the wanted
        one, for images of one class; `confidence-reduction` at most half of the confidence in the
        label, or another label.
        """
        if "goal" in dict(self.parameters):
            return "confidence-reduction"
        if self.targeted == "none":
            return "misclassification"
        return "targeted" if self.source is None else "source-target"

    def title(self) -> str:
        """Return a short human name such as `pgd linf 8/255`."""
        return " ".join([self.name, self.norm, *([self.eps] if self.eps else [])])

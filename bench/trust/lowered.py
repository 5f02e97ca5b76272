"""By how much an attack of a check lowers the robust accuracy that a run found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bench.attacks.catalogue import row_of
from bench.measure.statistics import wilson
from bench.spec import Scalar
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.registry import Finding, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """What became of some images that had withstood all attacks of a run.

    Attributes:
        broken: how many of them an attack of a check broke.
        tried: how many it attacked.
        robust: how many images of the run withstood its attacks.
        images: how many the run has.
    """

    broken: int
    tried: int
    robust: int
    images: int

    @property
    def share(self) -> float:
        """Return the share of the run's images that would fall, as the attacked ones say; 0 if none were."""
        return self.broken / self.tried * self.robust / self.images if self.tried else 0.0

    @property
    def least(self) -> float:
        """Return the lower end of the 95 % interval (Wilson) of that share; 0 if none were attacked."""
        return (
            wilson(self.broken, self.tried).low * self.robust / self.images if self.tried else 0.0
        )

    def status(self, threat: CheckedThreat, check: str) -> Status:
        """Return what the bounds `note` and `most` of a check say of it, by the lower end of the interval.

        A few images out of a few dozen are no proof that a headline is too high.
        """
        bounds = threat.model.bounds
        if self.least > bounds[f"{check}.most"]:
            return "fail"
        return "warn" if self.least > bounds[f"{check}.note"] else "pass"

    def words(self) -> str:
        """Return how many images fell, such as `7 of 64 images that the run's attacks left`."""
        return f"{self.broken} of {self.tried} images that the run's attacks left"

    def drop(self) -> str:
        """Return what is left of the run's robust accuracy, in words."""
        before = self.robust / self.images
        return f"the robust accuracy is about {before - self.share:.1%}, not {before:.1%}"


def lowered(threat: CheckedThreat, broken: torch.Tensor) -> Lowered:
    """Return by how much an attack lowers the robust accuracy.

    Args:
        threat: the model and the run's images.
        broken: bool (K,), which of the robust images that were attacked it broke.
    """
    return Lowered(
        broken=int(broken.sum()),
        tried=len(broken),
        robust=int(threat.robust.sum()),
        images=len(threat.y),
    )


def not_attacked(threat: CheckedThreat, at: torch.Tensor) -> Finding | None:
    """Return why a check makes no attack on images at some positions; None if it can."""
    behaviour = threat.model.behaviour
    if not len(at):
        return not_applicable("no image withstands the attacks of the run")
    if threat.drawn:
        return None  # each image is judged alone
    if behaviour.refuses:
        return not_applicable(behaviour.refuses)
    return not_applicable(behaviour.dependence()) if behaviour.batch_dependent else None


def not_applicable(sentence: str) -> Finding:
    """Return the finding of a check that has nothing to check here."""
    return Finding(status="not applicable", sentence=sentence)


def bound(threat: CheckedThreat, check: str) -> str:
    """Return in words what the bounds `note` and `most` of a check require."""
    bounds = threat.model.bounds
    note, most = bounds[f"{check}.note"], bounds[f"{check}.most"]
    words = f"the lower end of its 95 % interval is at most {note:.1%}"
    return words if most >= 1 else f"{words}; above {most:.1%} the check fails"


def attack_to_add(threat: CheckedThreat, name: str, **parameters: Scalar) -> str:
    """Return what to write in a suite so that it makes an attack."""
    words = {"name": name, "norm": threat.norm, "eps": threat.eps_text, **parameters}
    return f"add to the suite an [[attacks]] table with {written(words)}"


def adaptive_to_add(threat: CheckedThreat) -> str:
    """Return how to attack a model whose gradient may mislead other attacks."""
    if threat.norm in row_of("adaptive").norms:
        return attack_to_add(threat, "adaptive")
    return "attack it in linf or l2 too, where `adaptive` finds errors without following a gradient"


def written(words: Mapping[str, Scalar]) -> str:
    """Return words as a suite has them, such as `steps = 80, random_start = true`."""
    return ", ".join(f"{word} = {json.dumps(value)}" for word, value in words.items())

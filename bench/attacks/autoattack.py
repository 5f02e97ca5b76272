"""What AutoAttack consists of, in any toolkit that has its parts."""

from __future__ import annotations

from collections.abc import Iterator

from bench.attacks import catalogue
from bench.attacks.in_turn import Member
from bench.spec import AttackSpec, Toolkit


def members(spec: AttackSpec, toolkit: Toolkit) -> Iterator[Member]:
    """Yield the attacks of Croce and Hein (2020), in their order."""
    steps = {"steps": spec.parameter("steps")}
    parts = [("apgd-ce", steps)]
    parts += [("apgd-t", steps)] if spec.parameter("apgd_t") else []
    parts += [("fab-t", steps)] if spec.parameter("fab_t") else []
    parts += [("square", {"queries": spec.parameter("queries")})]
    for name, words in parts:
        yield Member(catalogue.resolve(name, spec.norm, spec.eps, words), toolkit)

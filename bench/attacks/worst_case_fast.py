"""The cascade that comes close to AutoAttack at a tenth of its passes."""

from __future__ import annotations

from collections.abc import Iterator

from bench.attacks import catalogue
from bench.attacks.in_turn import Member
from bench.attacks.instrument import Probe
from bench.spec import AttackSpec

#: Queries of the look whether a search by scores alone finds what the gradients missed.
_LOOK = 50


def members(spec: AttackSpec, probe: Probe) -> Iterator[Member]:
    """Yield few steps of APGD on the cross-entropy, on the ratio of logits, and on that towards classes; then Square.

    Square is made in full only where gradients cannot be trusted: on images that never had one, and, where a
    short look of it breaks an image that all gradients left, on all images of the batch that are left. Both
    are signs of masked gradients (Athalye et al., 'Obfuscated gradients give a false sense of security', ICML
    2018; Carlini et al., 'On evaluating adversarial robustness', 2019).

    Args:
        spec: of the whole.
        probe: what the members before recorded.
    """

    def member(name: str, **words: int) -> Member:
        return Member(catalogue.resolve(name, spec.norm, spec.eps, words), "native")

    steps = spec.parameter("steps")
    yield member("apgd-ce", steps=steps)
    if spec.parameter("targets"):
        yield member("apgd-dlr", steps=steps)
        yield member("apgd-t", steps=steps, targets=spec.parameter("targets"))
    queries = spec.parameter("queries")
    blind = ~probe.guided
    yield member("square", queries=min(_LOOK, queries))._replace(only=~blind)
    masked = probe.broken_by is not None and "square" in probe.broken_by
    yield member("square", queries=queries)._replace(only=None if masked else blind)

"""The cascade that is meant to come close to AutoAttack at a tenth of its passes."""

from __future__ import annotations

from collections.abc import Iterator

from bench.attacks import catalogue
from bench.attacks.in_turn import Member
from bench.attacks.instrument import Probe
from bench.spec import AttackSpec

#: Queries of the look whether a search by scores alone finds what the gradients missed.
_LOOK = 100


def members(spec: AttackSpec, probe: Probe) -> Iterator[Member]:
    """Yield few steps of APGD on the cross-entropy, on the ratio of logits, and on that towards classes; then Square.

    Square is made in full only where the gradients of an image cannot be trusted: it never had one, or a short
    look of Square comes nearer to another class than all gradients did. Both are signs of masked gradients
    (Athalye et al., 'Obfuscated gradients give a false sense of security', ICML 2018; Carlini et al., 'On
    evaluating adversarial robustness', 2019).

    Args:
        spec: of the whole.
        probe: what the members before recorded, with labels, so that it knows by how much other classes led.
    """

    def member(name: str, **words: int) -> Member:
        return Member(catalogue.resolve(name, spec.norm, spec.eps, words), "native")

    steps, restarts = spec.parameter("steps"), spec.parameter("restarts")
    yield member("apgd-ce", steps=steps, restarts=restarts)
    if spec.parameter("targets"):
        yield member("apgd-dlr", steps=steps, restarts=restarts)
        yield member("apgd-t", steps=steps, targets=spec.parameter("targets"))
    queries = spec.parameter("queries")
    blind = ~probe.guided
    by_gradients = probe.lead.clone()
    yield member("square", queries=min(_LOOK, queries))._replace(only=~blind)
    yield member("square", queries=queries)._replace(only=blind | (probe.lead > by_gradients))

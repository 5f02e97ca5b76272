"""Whether attacks make models less sure of the right label, as each of their steps should."""

from __future__ import annotations

from scipy.stats import binom

from bench.measure.outcomes import Outcomes
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import Check, Finding
from bench.trust.moves import Moves, moves
from bench.trust.tried import in_short, tried

#: Of the sign test that confidence rises as often as it falls.
_LEVEL = 0.01


def attacks_lower_confidence(outcomes: Outcomes) -> list[Finding]:
    """Find attacks after which the model is surer of the right label, of most images that keep it."""
    most = Bounds(outcomes.results.bounds)["confidence.higher"]
    by_cell = moves(outcomes)
    compared, findings = 0, []
    for at in tried(outcomes):
        known = {
            cell: facts for cell in at.gradient
            if cell.kind == "fixed" and (facts := by_cell.get(cell.key)) is not None and facts.changed
        }  # fmt: skip
        if at.random or not known:
            continue
        compared += 1
        wrong = {cell: facts for cell, facts in known.items() if _rises(facts, most)}
        if wrong:
            worst = max(wrong, key=lambda cell: wrong[cell].higher / wrong[cell].changed)
            facts = wrong[worst]
            findings.append(at.found(
                at.status([*wrong]) if at.exact else "warn",
                f"{worst.name} leaves the model surer of the right label on {facts.higher} of {facts.changed} images "
                "that keep it, so it goes the wrong way",
                value=facts.higher / facts.changed, bound=f"at most {most:.0%} of images", cell=worst.key,
                remedy="see whether toolkits agree with `bench parity`, and mend the sign of its step or its loss",
            ))  # fmt: skip
    return in_short(
        findings, compared, "attacks make models less sure of the right label",
        "no image that kept its label was moved",
    )  # fmt: skip


def _rises(facts: Moves, most: float) -> bool:
    """Return whether confidence rises on more than a share of images, and more often than by chance."""
    often = facts.higher > most * facts.changed
    return bool(often and binom.sf(facts.higher - 1, facts.changed, 0.5) < _LEVEL)


CONFIDENCE = Check(
    id="confidence", title="attacks lower the confidence in the right label", needs="rows",
    run=attacks_lower_confidence, doubts=False, masks=True,
)  # fmt: skip

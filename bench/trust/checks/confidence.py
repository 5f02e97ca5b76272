"""Whether attacks make models less sure of the right label, as each of their steps should."""

from __future__ import annotations

from scipy.stats import binom

from bench.measure.access import EXACT
from bench.measure.outcomes import Outcomes
from bench.trust.bounds import Bounds
from bench.trust.checks.registry import Check, Finding
from bench.trust.moves import Moves, moves
from bench.trust.tried import TriedCell, in_short, looked_at, tried

#: Of the one-sided binomial test that the confidence rises on no more images than it may.
_LEVEL = 0.01


def attacks_lower_confidence(outcomes: Outcomes) -> list[Finding]:
    """Find attacks after which the model is surer of the right label on more images than steps uphill explain."""
    bounds = Bounds(outcomes.results.bounds)
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
        most = {
            cell: bounds[f"confidence.{'higher' if _climbs(cell) else 'otherwise'}"]
            for cell in known
        }
        wrong = {cell: facts for cell, facts in known.items() if _rises(facts, most[cell])}
        if wrong:
            worst = max(wrong, key=lambda cell: wrong[cell].higher / wrong[cell].changed)
            facts = wrong[worst]
            share = facts.higher / facts.changed
            way = "it goes the wrong way" if share > 0.5 else "it does not follow the gradient"
            findings.append(at.found(
                at.status([*wrong]) if at.exact else "warn",
                f"{worst.name} leaves the model surer of the right label on {facts.higher} of {facts.changed} images "
                f"that keep it, so {way}",
                value=share, bound=f"at most {most[worst]:.0%} of images", cell=worst.key,
                remedy=f"{looked_at(at, worst)}; then mend the sign of its step or of its loss",
            ))  # fmt: skip
    return in_short(
        findings, compared, "attacks make models less sure of the right label",
        "no image that kept its label was moved",
    )  # fmt: skip


def _climbs(cell: TriedCell) -> bool:
    """Return whether an attack takes several steps along the gradient of the model itself."""
    return cell.by_steps and cell.access == EXACT


def _rises(facts: Moves, most: float) -> bool:
    """Return whether confidence rises on more than a share of images, beyond chance."""
    return bool(binom.sf(facts.higher - 1, facts.changed, most) < _LEVEL)


CONFIDENCE = Check(
    id="confidence", title="attacks lower the confidence in the right label", needs="rows",
    run=attacks_lower_confidence, doubts=False, masks=True,
)  # fmt: skip

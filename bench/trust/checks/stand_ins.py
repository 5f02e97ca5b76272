"""Whether the gradients of stand-ins show how weak a model is that has no gradient of its own."""

from __future__ import annotations

from bench.errors import UnsupportedAttack
from bench.measure.access import EXACT, SURROGATE, WHOLE, access_of
from bench.trust.checked_threat import CheckedThreat
from bench.trust.checks.registry import Check, Finding
from bench.trust.lowered import adaptive_to_add, bound, lowered, not_applicable, not_attacked

#: How many images are attacked: few, since a vote or a forest takes long to ask.
_IMAGES = 16


def stand_ins(threat: CheckedThreat) -> Finding:
    """Attack a few images that withstood attacks on stand-ins, with one that sees the whole model.

    A vote of neighbours or a forest has no gradient, so attacks climb that of a differentiable stand-in; how much
    of the model's weakness it shows is not known beforehand (Tramèr et al., On adaptive attacks to adversarial
    example defenses, NeurIPS 2020, section 3).
    """
    kinds = {access_of(cell) for cell in threat.cells.to_dict("records")}
    if SURROGATE not in kinds or kinds & {EXACT, WHOLE}:
        return not_applicable("attacks see the model itself")
    at = threat.survivors(_IMAGES)
    if why := not_attacked(threat, at):
        return why
    passes = int(threat.model.bounds["stand-ins.passes"])
    try:
        tried = threat.attack("adaptive", at, passes=passes)
    except UnsupportedAttack as refused:
        return not_applicable(str(refused))
    drop = lowered(threat, tried.broken)
    status = drop.status(threat, "stand-ins")
    sentence = (
        f"an attack that sees the whole model ({passes} passes an image) breaks {drop.words()}"
    )
    if status != "pass":
        sentence += f", which stand-ins for its gradient did not show: {drop.drop()}"
    return Finding(
        status=status,
        sentence=sentence,
        value=drop.share,
        bound=bound(threat, "stand-ins"),
        remedy="" if status == "pass" else adaptive_to_add(threat),
    )


STAND_INS = Check(
    id="stand-ins",
    title="stand-ins for a model's gradient show how weak it is",
    needs="threat",
    run=stand_ins,
    masks=True,
)

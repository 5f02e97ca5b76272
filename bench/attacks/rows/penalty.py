"""Minimal-norm attacks that weigh the distance against the margin and learn the weight on the way."""

from __future__ import annotations

from bench.attacks.row import Attack, Need, Parameter
from bench.attacks.rows.common import ADV_LIB, TARGETED
from bench.spec import Norm

_FOUR: tuple[Norm, ...] = ("l0", "l1", "l2", "linf")
_PRIMAL_DUAL = {
    "steps": Parameter("count", 500, least=2),
    "step_size": Parameter("amount", 0.1),
    "weight": Parameter("amount", 0.01),
    "weight_step": Parameter("amount", 0.1),
    "targeted": TARGETED,
}

ROWS = (
    Attack(
        name="pdpgd",
        norms=dict.fromkeys(_FOUR, ADV_LIB),
        minimal=True,
        parameters=_PRIMAL_DUAL,
        note="primal-dual proximal gradient descent: steps that lower the margin, each followed by the proximal "
        "step of the norm (in l0 of l2/3, over channel values); their weights are learnt too; it wants hundreds "
        "of steps",
    ),
    Attack(
        name="pdgd",
        norms={"l2": ADV_LIB},
        minimal=True,
        parameters=_PRIMAL_DUAL,
        note="primal-dual gradient descent: Adam on the l2 norm plus the margin, whose weights are learnt too; it "
        "wants hundreds of steps",
    ),
    Attack(
        name="alma",
        norms={"l1": ADV_LIB, "l2": ADV_LIB},
        minimal=True,
        parameters={
            "steps": Parameter("count", 200, least=1),
            "first_step": Parameter("amount", 1.0),
            "decay": Parameter("amount", 0.9, least=0, below=1),
            "targeted": TARGETED,
        },
        needs=(Need(kind="classes", least=3, why="compares the first logit with the third"),),
        note="augmented Lagrangian: the distance plus a penalty on the ratio of differences of logits, whose weight "
        "grows until the label changes; it needs three classes, four with a target",
    ),
    Attack(
        name="cw-linf",
        norms={"linf": ADV_LIB},
        minimal=True,
        parameters={
            "c": Parameter("amount", 0.01),
            "steps": Parameter("count", 50, least=1),
            "step_size": Parameter("amount", 0.01),
            "shrink": Parameter("amount", 0.9, below=1),
            "targeted": TARGETED,
        },
        note="c times the margin plus what exceeds a bound in linf, by Adam; the bound shrinks while the label "
        "changes, and c doubles, up to 20, where it does not; it looks no closer than 1/255",
    ),
)

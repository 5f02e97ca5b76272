"""Attacks that see no gradient."""

from __future__ import annotations

from bench.attacks.row import (
    Agreement,
    Attack,
    Word,
    norm,
    verdict,
)
from bench.attacks.rows.common import RESTARTS

ROWS = (
    Attack(
        name="square",
        norms={"linf": ("art", "torchattacks"), "l2": ("torchattacks",)},
        access="score",
        words={
            "queries": Word("count", 5000, least=1),
            "p_init": Word("amount", 0.8),
            "restarts": RESTARTS,
        },
        absent={"art": "it divides by the weight of a window that it should multiply by"},
        parity=(Agreement(verdict("each draws its own squares", 0.8)),),
        note="random squares, kept where the margin shrinks; queries are steps of each restart, and "
        "p_init is the share of pixels of the first square",
    ),
    Attack(
        name="noise",
        norms={"linf": ("foolbox", "native"), "l2": ("foolbox", "native")},
        access="decision",
        absent={"torchattacks": "its GN takes a standard deviation, not a radius"},
        parity=(
            Agreement(
                norm(0.9, 1.1, "each draws its own noise"),
            ),
        ),
        note="one draw: uniform in the ball for linf, a Gaussian direction of length eps for l2",
    ),
)

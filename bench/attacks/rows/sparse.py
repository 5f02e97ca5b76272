"""Attacks that change few pixels."""

from __future__ import annotations

from bench.attacks.row import (
    Agreement,
    Attack,
    Parity,
    Refusal,
    Word,
)

ROWS = (
    Attack(
        name="sparsefool",
        norms={"l0": ("torchattacks", "native")},
        minimal=True,
        words={
            "lambda": Word("amount", 3.0, least=1),
            "steps": Word("count", 20, least=1),
            "overshoot": Word("amount", 0.02, least=0),
            "candidates": Word("count", 10, least=2),
            "box": Word("amount", 1.0),
        },
        refusals=(
            Refusal("torchattacks", "box", "1", "moves every pixel as far as [0, 1] allows"),
        ),
        parity=(
            Agreement(
                Parity(
                    "differs",
                    0.0,
                    1.0,
                    "torchattacks begins each linear solution at the clean image, with the gradient "
                    "far beyond the boundary; the authors' code, as native, goes on from the last",
                )
            ),
        ),
        note="few pixels, each as far as needed; torchattacks restarts each step from the clean image "
        "and takes every class as a candidate",
    ),
)

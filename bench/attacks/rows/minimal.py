"""Attacks that look for the nearest adversarial image."""

from __future__ import annotations

from bench.attacks.row import (
    Agreement,
    Attack,
    Refusal,
    Word,
    norm,
    verdict,
)
from bench.attacks.rows.common import TARGETED, THREE

_ART_CW = (
    "ART descends with a line search instead of Adam; its line search was tuned on CIFAR-10 to come "
    "within these bounds, so that they are no independent test of it"
)

ROWS = (
    Attack(
        name="deepfool",
        norms={"l2": (*THREE, "native"), "linf": ("foolbox", "native")},
        minimal=True,
        singly=("torchattacks",),
        words={
            "steps": Word("count", 50, least=1),
            "overshoot": Word("amount", 0.02, least=0),
            "candidates": Word("count", 10, least=2),
        },
        parity=(
            Agreement(
                norm(0.999, 1.001, "the same steps, rounded otherwise in batches of other sizes"),
                pair=("foolbox", "native"),
            ),
            Agreement(verdict("the same linear steps; where each stops and overshoots differs")),
        ),
        note="steps to the nearest linearised boundary; fewer candidates than the model has classes "
        "only in foolbox and native, which drops finished images from the batch",
    ),
    Attack(
        name="cw",
        norms={"l2": THREE},
        minimal=True,
        words={
            "c": Word("amount", 1.0),
            "steps": Word("count", 100, least=1),
            "step_size": Word("amount", 0.01),
            "search_steps": Word("count", 1, least=1),
            "confidence": Word("amount", 0.0, least=0),
            "targeted": TARGETED,
        },
        refusals=(
            Refusal("torchattacks", "search_steps", 1, "has no search over c: search_steps is 1"),
        ),
        parity=(
            Agreement(
                norm(
                    0.9,
                    1.1,
                    "the same objective, start and optimiser; each keeps its own count of the best image",
                ),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(
                norm(0.8, 1.4, _ART_CW),
                pair=("art", "foolbox"),
            ),
            Agreement(
                norm(0.8, 1.4, _ART_CW),
                pair=("art", "torchattacks"),
            ),
        ),
        note="least l2 norm plus c times the margin, by Adam; ART's line search does in a third of "
        "the steps what Adam does, and is given that many",
    ),
    Attack(
        name="ddn",
        norms={"l2": ("foolbox",)},
        minimal=True,
        words={
            "steps": Word("count", 100, least=1),
            "init_eps": Word("amount", 1.0),
            "gamma": Word("amount", 0.05),
            "targeted": TARGETED,
        },
        note="gradient steps on a sphere that shrinks by gamma where the image is adversarial and "
        "grows where it is not; it begins at init_eps",
    ),
    Attack(
        name="ead",
        norms={"l1": THREE},
        minimal=True,
        words={
            "c": Word("amount", 0.001),
            "beta": Word("amount", 0.001, least=0),
            "steps": Word("count", 100, least=1),
            "step_size": Word("amount", 0.01),
            "search_steps": Word("count", 9, least=1),
            "confidence": Word("amount", 0.0, least=0),
            "targeted": TARGETED,
        },
        refusals=(Refusal("art", "confidence", "0", "keeps images that lack the confidence"),),
        parity=(
            Agreement(
                norm(0.9, 1.1, "the same search over c; torchattacks' momentum is a step ahead"),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(
                norm(
                    1 / 1.05,
                    1.25,
                    "ART drops the pull of the l2 norm where an image is adversarial",
                ),
                pair=("foolbox", "art"),
            ),
            Agreement(
                norm(
                    1 / 1.1, 1.25, "ART drops the pull of the l2 norm where an image is adversarial"
                ),
                pair=("torchattacks", "art"),
            ),
        ),
        note="elastic net: least l2 norm plus beta times l1 plus c times the margin, by FISTA, with a "
        "search over c; of the images found the one of least l1 counts",
    ),
)

"""Attacks that change few pixels."""

from __future__ import annotations

from bench.attacks.row import (
    Agreement,
    Attack,
    Need,
    Parameter,
    Refusal,
    differs,
    verdict,
)
from bench.attacks.rows.common import ADV_LIB, TARGETED

ROWS = (
    Attack(
        name="sparsefool",
        norms={"l0": ("torchattacks", "native")},
        minimal=True,
        image_by_image=("torchattacks",),
        parameters={
            "lambda": Parameter("amount", 3.0, least=1),
            "steps": Parameter("count", 20, least=1),
            "overshoot": Parameter("amount", 0.02, least=0),
            "candidates": Parameter("count", 10, least=2),
            "box": Parameter("amount", 1.0),
        },
        refusals=(
            Refusal("torchattacks", "box", "1", "moves every pixel as far as [0, 1] allows"),
        ),
        needs=(Need(kind="candidates", toolkit="torchattacks", why="tries every class"),),
        parity=(
            Agreement(
                differs(
                    "torchattacks begins each linear solution at the clean image, with the gradient "
                    "far beyond the boundary; the authors' code, as native, goes on from the last"
                )
            ),
        ),
        note="few pixels, each as far as needed and at most by box; torchattacks restarts each step "
        "from the clean image and takes every class as a candidate",
    ),
    Attack(
        name="sigma-zero",
        norms={"l0": ADV_LIB},
        minimal=True,
        parameters={
            "steps": Parameter("count", 200, least=1),
            "step_size": Parameter("amount", 1.0),
            "sigma": Parameter("amount", 0.001),
            "threshold": Parameter("amount", 0.3, least=0, most=1),
            "threshold_step": Parameter("amount", 0.01, least=0),
        },
        note="Adam on the margin plus a smooth stand-in for l0; after each step values below a threshold, which "
        "grows while the label changes, go back to what they were; it counts channel values, not pixels",
    ),
    Attack(
        name="vfga",
        norms={"l0": ADV_LIB},
        minimal=True,
        image_by_image=ADV_LIB,
        parameters={
            "steps": Parameter("count", 200, least=1),
            "samples": Parameter("count", 10, least=1),
            "targeted": TARGETED,
        },
        note="one value a step: of the two that can change the probability of the label most, upwards and "
        "downwards, the best of `samples` random changes each; it counts channel values, not pixels",
    ),
    Attack(
        name="jsma",
        norms={"l0": ("art", "torchattacks")},
        minimal=True,
        parameters={
            "theta": Parameter("amount", 1.0),
            "gamma": Parameter("amount", 0.1, most=1),
            "targeted": TARGETED,
        },
        needs=(Need(kind="pairs", why="changes values in pairs"),),
        parity=(
            Agreement(
                differs(
                    "torchattacks takes the best pair of the paper's map, so many times as there are "
                    "pairs; ART the two values of steepest gradient of the wanted class alone"
                )
            ),
        ),
        note="values raised by theta in pairs, a share gamma of them at most, towards one class: with "
        "targeted=none the likeliest but the label",
    ),
    # No parameter for the number of pixels: in l0 that is the radius, which the judge checks.
    Attack(
        name="one-pixel",
        norms={"l0": ("art", "torchattacks", "native")},
        access="score",
        parameters={
            "population": Parameter("count", 400, least=5),
            "generations": Parameter("count", 100, least=1),
            "stop": Parameter("amount", "class", below=1, choices=("class",), later=True),
            "targeted": TARGETED,
        },
        refusals=tuple(
            Refusal(toolkit, "stop", "class", "stops where the class changes")
            for toolkit in ("art", "torchattacks")
        ),
        parity=(
            Agreement(
                verdict(
                    "each draws its own population: ART a Latin hypercube of colours of 8 bits", 0.8
                ),
                pair=("art", "torchattacks"),
            ),
            Agreement(
                differs(
                    "the toolkits' children are the best member with some values changed by crossover; as "
                    "published, native's come from three others and keep none: it needs more generations, "
                    "and where those are few finds less with several pixels"
                )
            ),
        ),
        note="places and colours of eps pixels by differential evolution, until the class changes; "
        "native can go on to a probability (stop), as the paper does, attacks all images together and "
        "keeps the best probability of each generation",
    ),
    Attack(
        name="salt-and-pepper",
        norms={"l2": ("foolbox",)},
        minimal=True,
        access="decision",
        evidence=False,
        parameters={"steps": Parameter("count", 1000, least=1)},
        note="pixels drawn at random turn white or black, then fewer, once the class has changed; of the "
        "adversarial images found, the one with the least l2 counts",
    ),
)

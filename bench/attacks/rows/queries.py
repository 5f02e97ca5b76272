"""Black-box attacks."""

from __future__ import annotations

from bench.attacks.row import (
    Agreement,
    Attack,
    Need,
    Parameter,
    differs,
    norm,
    rate,
)
from bench.attacks.rows.common import NATIVE, RESTARTS

#: The last query is kept for the image that was found.
_QUERIES = Parameter("count", 5000, least=2)

ROWS = (
    Attack(
        name="square",
        norms={"linf": ("art", "torchattacks", *NATIVE), "l2": ("torchattacks", *NATIVE)},
        on_request=NATIVE,
        access="score",
        parameters={
            "queries": Parameter("count", 5000, least=1),
            "p_init": Parameter("amount", 0.8, most=1),
            "restarts": RESTARTS,
        },
        needs=(
            # ART draws the corner of a square that just fits from an empty range.
            Need(
                kind="square",
                least=1,
                toolkit="art",
                why="begins with, and moves about,",
                instead="set a smaller p_init or use torchattacks",
            ),
            Need(
                kind="odd-square",
                side=5,
                norm="l2",
                why="begins with",
                instead="set a smaller p_init; below 5 pixels a side there is none",
            ),
        ),
        absent={"art": "it divides by the weight of a window that it should multiply by"},
        parity=(
            Agreement(
                # With 100 queries two seeds of torchattacks differ as much; with 1000 all agree.
                rate(
                    0.2,
                    "each draws its own squares, torchattacks and native one for a whole batch",
                )
            ),
        ),
        note="random squares, kept where the margin shrinks; queries are steps of each restart, and "
        "p_init is the share of pixels of the first square",
    ),
    Attack(
        name="noise",
        norms={
            "linf": ("foolbox", "native"),
            "l2": ("foolbox", "native"),
            "l1": ("native",),
            "l0": ("native",),
        },
        access="decision",
        evidence=False,
        absent={"torchattacks": "its GN takes a standard deviation, not a radius"},
        parity=(
            Agreement(
                norm(0.9, 1.1, "each draws its own noise"),
            ),
        ),
        note="one draw: uniform in the ball for linf, a Gaussian direction of length eps for l2, a random point at "
        "distance eps for l1, eps random pixels of random colours at the bounds for l0",
    ),
    Attack(
        name="hopskipjump",
        norms={"l2": ("art", "foolbox"), "linf": ("art", "foolbox")},
        minimal=True,
        access="decision",
        parameters={
            "queries": _QUERIES,
            "gradient_queries": Parameter("count", 100, least=1, constant_cost=True),
        },
        parity=(
            Agreement(
                # Set from the ratios seen on twenty images of digits and of CIFAR-10.
                norm(
                    0.7, 1.25, "each draws its own directions, and ART looks farther around a step"
                ),
                pair=("art", "foolbox"),
            ),
        ),
        note="jumps along a gradient estimated at the boundary from decisions alone; queries counts all "
        "queries per image, gradient_queries those of the first estimate",
    ),
    Attack(
        name="boundary",
        norms={"l2": ("art", "foolbox")},
        minimal=True,
        access="decision",
        parameters={
            "queries": _QUERIES,
            "spherical_step": Parameter("amount", 0.01),
            "source_step": Parameter("amount", 0.01),
        },
        parity=(
            Agreement(
                differs(
                    "ART tries twenty directions a step and adapts its lengths at once, Foolbox tries "
                    "one and adapts them after some hundreds of steps"
                )
            ),
        ),
        note="a random walk along the boundary towards the image; queries counts all queries per image",
    ),
    # Listed under linf, but its threat is no ball: its distances are reported, and count in a headline
    # only if they happen to lie within eps.
    Attack(
        name="spatial",
        norms={"linf": ("foolbox",)},
        minimal=True,
        access="decision",
        evidence=False,
        irreducible="a point on the way is no rotation or shift",
        parameters={
            "max_translation": Parameter("amount", 3, least=0),
            "max_rotation": Parameter("amount", 30, least=0),
            "translations": Parameter("count", 5, least=1),
            "rotations": Parameter("count", 5, least=1),
        },
        needs=(Need(kind="square-images", least=2, why="turns"),),
        absent={
            "art": "its translations go along channels and rows of images laid out (C, H, W), and "
            "the whole batch gets one transformation"
        },
        note="rotations by up to max_rotation degrees and shifts by up to max_translation pixels along "
        "each side, on a grid; its threat is no ball: distances are reported, not minimised",
    ),
)

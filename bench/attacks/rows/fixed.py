"""Attacks that use a budget."""

from __future__ import annotations

from bench.attacks.row import (
    Agreement,
    Attack,
    Parity,
    Refusal,
    Word,
    identical,
    verdict,
)
from bench.attacks.rows.common import STEP_SIZE, STEPS, TARGETED, THREE
from bench.spec import ITSELF


def _apgd(name: str, alike: float, loss: str) -> Attack:
    # `alike` was set after the shares seen on two or three dozen images, as Square's was.
    return Attack(
        name=name,
        norms={"linf": ("art", "torchattacks"), "l2": ("art", "torchattacks")},
        words={
            "steps": Word("count", 100, least=1),
            "restarts": Word("count", 1, least=1),
            "eot": Word("count", 1, least=1),
        },
        refusals=(Refusal("art", "eot", 1, "takes one gradient a step"),),
        parity=(
            Agreement(
                verdict("each draws its own start: ART in the ball, torchattacks on it", alike)
            ),
        ),
        note=f"steps along the gradient of {loss}, halved where they stop to help",
    )


ROWS = (
    Attack(
        name="fgsm",
        norms={"linf": THREE},
        words={"targeted": TARGETED},
        refusals=(Refusal("foolbox", "targeted", "none", "cannot be targeted"),),
        parity=(Agreement(identical("one signed step of the same gradient")),),
        note="one signed gradient step of size eps",
    ),
    Attack(
        name="bim",
        norms={"linf": THREE},
        words={"steps": STEPS, "step_size": STEP_SIZE, "targeted": TARGETED},
        parity=(
            Agreement(
                identical("the same steps, each clipped to the ball and then to [0, 1]"),
                pair=("art", "foolbox"),
            ),
            Agreement(
                Parity("one-ulp", 1.0, 1.0, "torchattacks' BIM clips against x - eps and x + eps")
            ),
        ),
        note="signed gradient steps from the image itself, kept within eps",
    ),
    Attack(
        name="pgd",
        norms={"linf": THREE, "l2": THREE},
        words={
            "steps": STEPS,
            "step_size": STEP_SIZE,
            "random_start": Word("flag", True),
            "targeted": TARGETED,
        },
        parity=(
            Agreement(
                identical("the same steps; a random start is drawn once for all toolkits"),
                norm="linf",
            ),
            Agreement(
                verdict("the same steps and start; projections and norms are rounded differently"),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(verdict("ART clips to [0, 1] before it projects, the others after")),
        ),
        note="gradient steps from a random start, projected to the ball; step_size is eps/4",
    ),
    Attack(
        name="mi-fgsm",
        norms={"linf": THREE},
        words={
            "steps": STEPS,
            "step_size": STEP_SIZE,
            "decay": Word("amount", 1.0, least=0),
            "targeted": TARGETED,
        },
        parity=(
            Agreement(
                identical("the same accumulated gradients, each divided by its mean magnitude"),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(
                verdict("ART multiplies by 1/||g||_1: rounding may turn a sign where they cancel")
            ),
        ),
        note="signed steps along the accumulated, L1-normalised gradient",
    ),
    _apgd("apgd-ce", 0.95, "the cross-entropy"),
    _apgd("apgd-dlr", 0.85, "the ratio of differences of logits; it needs three classes"),
    Attack(
        name="fab",
        norms={
            "linf": ("torchattacks",),
            "l2": ("torchattacks",),
            "l1": ("torchattacks",),
        },
        words={
            "steps": Word("count", 100, least=1),
            "restarts": Word("count", 1, least=1),
            "alpha_max": Word("amount", 0.1),
            "eta": Word("amount", 1.05, least=1),
            "beta": Word("amount", 0.9),
        },
        note="projections on the nearest linearised boundary, drawn back by beta to the image; what "
        "lies beyond eps does not count; a gradient for every class a step",
    ),
    Attack(
        name="universal",
        norms={"linf": ("art", "native"), "l2": ("art", "native")},
        words={
            "delta": Word("amount", 0.2, least=0, below=1),
            "passes": Word("count", 10, least=1),
            "batch": Word("count", 100, least=1),
            "steps": Word("count", 10, least=1),
            "overshoot": Word("amount", 0.02, least=0),
            "candidates": Word("count", 10, least=2),
            "fit": Word("fit", "train 1000"),
            "fitted_on": Word("model", ITSELF),
        },
        refusals=(Refusal("art", "batch", 1, "takes one image at a time: batch is 1"),),
        parity=(
            Agreement(
                Parity(
                    "differs",
                    0.0,
                    1.0,
                    "ART draws another order, and keeps of v what the box of the last image left of it",
                )
            ),
        ),
        note="one perturbation for all images, fitted with DeepFool on `fit` until a share of "
        "1 - delta is fooled or the passes are done; batch 1 is as published",
    ),
)

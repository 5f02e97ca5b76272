"""One row an attack: its norms and toolkits, its words, what each toolkit refuses, and parity.

To add an attack, add a row here and a function of the same (name, norm) to the `ATTACKS` table of
each driver that has it; the tests that are made from this table then cover it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.attacks.row import (
    QUARTER_OF_EPS,
    Agreement,
    Attack,
    Parity,
    Refusal,
    Word,
    identical,
    norm,
    verdict,
)
from bench.spec import Toolkit

_ART_CW = (
    "ART descends with a line search instead of Adam; its line search was tuned on CIFAR-10 to come "
    "within these bounds, so that they are no independent test of it"
)
_THREE: tuple[Toolkit, ...] = ("art", "foolbox", "torchattacks")
_STEPS = Word("count", 10, least=1)
_STEP_SIZE = Word("amount", QUARTER_OF_EPS)
_TARGETED = Word("target", "none")


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


_ROWS = (
    Attack(
        name="fgsm",
        norms={"linf": _THREE},
        words={"targeted": _TARGETED},
        refusals=(Refusal("foolbox", "targeted", "none", "cannot be targeted"),),
        parity=(Agreement(identical("one signed step of the same gradient")),),
        note="one signed gradient step of size eps",
    ),
    Attack(
        name="bim",
        norms={"linf": _THREE},
        words={"steps": _STEPS, "step_size": _STEP_SIZE, "targeted": _TARGETED},
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
        norms={"linf": _THREE, "l2": _THREE},
        words={
            "steps": _STEPS,
            "step_size": _STEP_SIZE,
            "random_start": Word("flag", True),
            "targeted": _TARGETED,
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
        norms={"linf": _THREE},
        words={
            "steps": _STEPS,
            "step_size": _STEP_SIZE,
            "decay": Word("amount", 1.0, least=0),
            "targeted": _TARGETED,
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
    Attack(
        name="deepfool",
        norms={"l2": (*_THREE, "native"), "linf": ("foolbox", "native")},
        minimal=True,
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
        name="sparsefool",
        norms={"l0": ("torchattacks", "native")},
        minimal=True,
        words={
            "lambda": Word("amount", 3.0, least=1),
            "steps": Word("count", 20, least=1),
            "overshoot": Word("amount", 0.02, least=0),
            "candidates": Word("count", 10, least=2),
        },
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
    Attack(
        name="cw",
        norms={"l2": _THREE},
        minimal=True,
        words={
            "c": Word("amount", 1.0),
            "steps": Word("count", 100, least=1),
            "step_size": Word("amount", 0.01),
            "search_steps": Word("count", 1, least=1),
            "confidence": Word("amount", 0.0, least=0),
            "targeted": _TARGETED,
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
            "targeted": _TARGETED,
        },
        note="gradient steps on a sphere that shrinks by gamma where the image is adversarial and "
        "grows where it is not; it begins at init_eps",
    ),
    Attack(
        name="ead",
        norms={"l1": _THREE},
        minimal=True,
        words={
            "c": Word("amount", 0.001),
            "beta": Word("amount", 0.001, least=0),
            "steps": Word("count", 100, least=1),
            "step_size": Word("amount", 0.01),
            "search_steps": Word("count", 9, least=1),
            "confidence": Word("amount", 0.0, least=0),
            "targeted": _TARGETED,
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
        name="square",
        norms={"linf": ("art", "torchattacks"), "l2": ("torchattacks",)},
        access="score",
        words={
            "queries": Word("count", 5000, least=1),
            "p_init": Word("amount", 0.8),
            "restarts": Word("count", 1, least=1),
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

ATTACKS: Mapping[str, Attack] = MappingProxyType({row.name: row for row in _ROWS})

"""Minimal-norm attacks."""

from __future__ import annotations

from collections.abc import Mapping

from bench.attacks.row import (
    Agreement,
    Attack,
    Need,
    Parameter,
    Refusal,
    norm,
    verdict,
)
from bench.attacks.rows.common import ADV_LIB, TARGETED, THREE, alike, as_adv_lib
from bench.spec import Norm, Toolkit

_ART_CW = (
    "ART descends with a line search instead of Adam, and breaks about 5 % fewer images; its line "
    "search was tuned on CIFAR-10 to come within these bounds, so that they are no independent test of it"
)
#: The same steps fool the same images, except for rounding.
_SAME = 0.02

#: Toolkits whose DeepFool takes adv-lib's steps, and whose C&W its optimiser.
_STEPPING: tuple[Toolkit, ...] = ("foolbox", "native")
_BY_ADAM: tuple[Toolkit, ...] = ("foolbox", "torchattacks")

_MEASURES = "it measures how far away the label changes"
_SURE = {"least_confidence": Parameter("amount", 0, least=0, below=1)}


def _ead(
    name: str, threat: Norm, rule: str, pairs: Mapping[tuple[Toolkit, Toolkit], tuple[float, float]]
) -> Attack:
    """Return EAD under one of its two rules of which image counts; the descent is the same."""
    causes = {"art": "ART drops the pull of the l2 norm where an image is adversarial"}
    alike = "the same search over c; torchattacks' momentum is a step ahead"
    return Attack(
        name=name,
        norms={threat: THREE},
        minimal=True,
        parameters={
            "c": Parameter("amount", 0.001),
            "beta": Parameter("amount", 0.001, least=0),
            "steps": Parameter("count", 100, least=1),
            "step_size": Parameter("amount", 0.01),
            "search_steps": Parameter("count", 9, least=1),
            "confidence": Parameter("amount", 0.0, least=0),
            "targeted": TARGETED,
        },
        refusals=(Refusal("art", "confidence", "0", "keeps images that lack the confidence"),),
        parity=tuple(
            Agreement(norm(*bounds, causes.get(pair[1], alike)), pair=pair)
            for pair, bounds in pairs.items()
        ),
        note="elastic net: least l2 norm plus beta times l1 plus c times the margin, by FISTA, with "
        f"a search over c; of the images found the one of least {rule} counts",
    )


ROWS = (
    Attack(
        name="deepfool",
        norms={"l2": (*THREE, "native", "adv-lib"), "linf": ("foolbox", "native", "adv-lib")},
        on_request=ADV_LIB,
        minimal=True,
        image_by_image=("torchattacks",),
        parameters={
            "steps": Parameter("count", 50, least=1),
            "overshoot": Parameter("amount", 0.02, least=0),
            "candidates": Parameter("count", 10, least=2),
            "clip": Parameter("choice", "steps", choices=("steps", "end"), later=True),
        },
        refusals=tuple(
            Refusal(toolkit, "clip", "steps", "clips the image at every step")
            for toolkit in (*THREE, *ADV_LIB)
        ),
        needs=(
            Need(
                kind="candidates",
                toolkit="art",
                why="mixes up classes when it tries fewer than all",
            ),
            Need(kind="candidates", toolkit="torchattacks", why="tries every class"),
            Need(kind="candidates", toolkit="adv-lib", why="tries every class"),
        ),
        parity=(
            Agreement(
                norm(
                    0.999,
                    1.001,
                    "the same steps, rounded otherwise in batches of other sizes",
                    within=_SAME,
                ),
                pair=("foolbox", "native"),
            ),
            *(
                Agreement(
                    alike(1.01, "the same steps; adv-lib overshoots each"), pair=(kit, "adv-lib")
                )
                for kit in _STEPPING
            ),
            Agreement(verdict("the same linear steps; where each stops and overshoots differs")),
        ),
        note="steps to the nearest linearised boundary; fewer candidates than the model has classes "
        "only in foolbox and native, which drops finished images from the batch; clip=end, in native, "
        "clips only after the last step, and also records the image before that",
    ),
    Attack(
        name="superdeepfool",
        norms={"l2": ADV_LIB},
        minimal=True,
        every_class=True,
        parameters={
            "rounds": Parameter("count", 20, least=1, constant_cost=True),
            "steps": Parameter("count", 50, least=1),
            "overshoot": Parameter("amount", 0.02, least=0),
            "search_steps": Parameter("count", 10, least=1, constant_cost=True),
        },
        note="rounds of DeepFool, each followed by a step from the image to its projection on the normal of the "
        "boundary that was met; bisection at the end; a gradient for every class a step",
    ),
    Attack(
        name="trust-region",
        norms={"l2": ADV_LIB, "linf": ADV_LIB},
        minimal=True,
        parameters={
            "steps": Parameter("count", 100, least=1),
            "region": Parameter("amount", 0.001),
            "adaptive": Parameter("flag", True),
            "candidates": Parameter("count", 10, least=2),
        },
        note="steps to the linearised boundary of one class, no longer than the region in which the model is taken "
        "for linear; adaptive: that grows and shrinks by how the model answers, between 0.0005 and 0.05 in l2 and "
        "0.0001 and 0.01 in linf",
    ),
    Attack(
        name="l-bfgs",
        norms={"l2": ("native",)},
        minimal=True,
        parameters={
            "c": Parameter("amount", 10),
            "steps": Parameter("count", 10, least=1),
            "search_steps": Parameter("count", 10, least=1),
            "targeted": TARGETED,
        },
        note="c times the squared l2 norm plus the cross-entropy, by L-BFGS-B, with a search for the "
        "largest c that will do; unlike in cw, c weighs the distance; an image at a time",
    ),
    Attack(
        name="cw",
        norms={"l2": (*THREE, *ADV_LIB)},
        on_request=ADV_LIB,
        minimal=True,
        parameters={
            "c": Parameter("amount", 1.0),
            "steps": Parameter("count", 100, least=1),
            "step_size": Parameter("amount", 0.01),
            "search_steps": Parameter("count", 1, least=1),
            "confidence": Parameter("amount", 0.0, least=0),
            "targeted": TARGETED,
        },
        refusals=(
            Refusal("torchattacks", "search_steps", 1, "has no search over c: search_steps is 1"),
        ),
        parity=(
            *(
                Agreement(
                    norm(0.9, 1.1, "the same objective, start and optimiser", within=_SAME),
                    pair=(kit, "adv-lib"),
                )
                for kit in _BY_ADAM
            ),
            Agreement(norm(0.8, 1.4, _ART_CW, within=0.1), pair=("art", "adv-lib")),
            Agreement(
                norm(
                    0.9,
                    1.1,
                    "the same objective, start and optimiser; each keeps its own count of the best image",
                    within=_SAME,
                ),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(
                norm(0.8, 1.4, _ART_CW, within=0.1),
                pair=("art", "foolbox"),
            ),
            Agreement(
                norm(0.8, 1.4, _ART_CW, within=0.1),
                pair=("art", "torchattacks"),
            ),
        ),
        note="least l2 norm plus c times the margin, by Adam; ART's line search does in a third of "
        "the steps what Adam does, and is given that many",
    ),
    Attack(
        name="ddn",
        norms={"l2": ("foolbox", *ADV_LIB)},
        on_request=ADV_LIB,
        minimal=True,
        parameters={
            "steps": Parameter("count", 100, least=1),
            "init_eps": Parameter("amount", 1.0),
            "gamma": Parameter("amount", 0.05, below=1),
            "targeted": TARGETED,
        },
        parity=(as_adv_lib(alike(1.02, "the same steps, rounded otherwise")),),
        note="gradient steps on a sphere that shrinks by gamma where the image is adversarial and "
        "grows where it is not; it begins at init_eps",
    ),
    _ead(
        "ead",
        "l1",
        "l1 norm",
        {
            ("foolbox", "torchattacks"): (0.9, 1.1),
            ("foolbox", "art"): (1 / 1.05, 1.25),
            ("torchattacks", "art"): (1 / 1.1, 1.25),
        },
    ),
    _ead(
        "ead-en",
        "l2",
        "elastic-net distance (squared l2 plus beta times l1)",
        {
            ("foolbox", "torchattacks"): (0.9, 1.1),
            ("foolbox", "art"): (0.9, 1.1),
            ("torchattacks", "art"): (0.9, 1.1),
        },
    ),
    Attack(
        name="fmn",
        norms=dict.fromkeys(("l0", "l1", "l2", "linf"), ("foolbox", *ADV_LIB)),
        on_request=ADV_LIB,
        minimal=True,
        parameters={
            "steps": Parameter("count", 100, least=1),
            "step_size": Parameter("amount", 1.0),
            "gamma": Parameter("amount", 0.05, below=1),
            "targeted": TARGETED,
        },
        parity=(
            as_adv_lib(alike(1.02, "the same steps and second beginnings, rounded otherwise")),
        ),
        note="gradient steps within a ball that shrinks by gamma where the image is adversarial and "
        "grows where it is not; step_size falls to a hundredth; its l0 ball counts channel values, "
        "not pixels",
    ),
    Attack(
        name="brendel-bethge",
        norms=dict.fromkeys(("l1", "l2", "linf"), ("art", "foolbox")),
        minimal=True,
        parameters={
            "steps": Parameter("count", 100, least=1),
            "step_size": Parameter("amount", 0.1),
            "targeted": TARGETED,
        },
        packages={"art": "numba", "foolbox": "numba"},
        parity=(
            Agreement(
                norm(0.98, 1.02, "the same steps and start, rounded otherwise", within=_SAME),
                pair=("art", "foolbox"),
            ),
        ),
        note="from a noise image along the boundary to the nearest point of it, in a trust region of "
        "step_size times the number of values; compiles for a minute at first use; the l0 variant "
        "is left out, since it stays with most pixels of the noise",
    ),
    Attack(
        name="fgsm-radius",
        norms={"linf": ("native",)},
        minimal=True,
        rows="radius",
        parameters={
            "max_eps": Parameter("amount", 0.5),
            "scan": Parameter("count", 50, least=1),
            **_SURE,
        },
        irreducible=_MEASURES,
        note="the least eps along the direction of FGSM at which the label changes, to 1e-6: scan "
        "equal steps up to max_eps, since labels can change back, then bisection",
    ),
    Attack(
        name="ifgsm-radius",
        norms={"linf": ("native",)},
        minimal=True,
        rows="radius",
        parameters={
            "step_size": Parameter("amount", 0.001),
            "steps": Parameter("count", 500, least=1),
            "project": Parameter("amount", 1),
            **_SURE,
        },
        irreducible=_MEASURES,
        note="the distance at which the label changes under signed steps of step_size, within the ball "
        "of radius project; 1 is the whole box, and projects nothing",
    ),
)

"""Attacks with a fixed budget."""

from __future__ import annotations

from bench.attacks.row import (
    Agreement,
    Attack,
    Need,
    Parameter,
    Parity,
    Refusal,
    differs,
    identical,
    verdict,
)
from bench.attacks.rows.common import (
    ADV_LIB,
    EOT,
    NATIVE,
    RESTARTS,
    STEP_SIZE,
    STEPS,
    TARGETED,
    THREE,
    as_adv_lib,
)
from bench.spec import ITSELF, Norm

_ONE_GRADIENT = "takes one gradient a step"
_EOT_REFUSED = Refusal("torchattacks", "eot", 1, _ONE_GRADIENT)


def _apgd(name: str, alike: float, loss: str, *needs: Need) -> Attack:
    # `alike` was set from the agreement seen on 24 to 36 images, as for Square.
    return Attack(
        name=name,
        norms={
            "linf": ("art", "torchattacks", *NATIVE, *ADV_LIB),
            "l2": ("art", "torchattacks", *NATIVE, *ADV_LIB),
            "l1": ADV_LIB,
        },
        on_request=(*NATIVE, *ADV_LIB),
        parameters={
            "steps": Parameter("count", 100, least=1),
            "restarts": RESTARTS,
            "eot": EOT,
        },
        refusals=(Refusal("art", "eot", 1, _ONE_GRADIENT),),
        needs=needs,
        parity=(
            Agreement(
                verdict(
                    "each draws its own start: ART and native in the ball, torchattacks on it",
                    alike,
                )
            ),
        ),
        note=f"steps along the gradient of {loss}, halved when they no longer help",
    )


_FAB = {
    "steps": Parameter("count", 100, least=1),
    "restarts": RESTARTS,
    "alpha_max": Parameter("amount", 0.1, most=1),
    "eta": Parameter("amount", 1.05, least=1),
    "beta": Parameter("amount", 0.9, most=1),
}
_FAB_ALIKE = as_adv_lib(
    verdict("the same projections; torchattacks stops at the first image within eps", 0.95)
)
_THREE_NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
_TARGETS = Parameter("count", 9, least=1)
_ODD_SQUARE = Need(
    kind="odd-square",
    side=5,
    norm="l2",
    why="has square for a part, which begins with",
    instead="ask for apgd-ce, apgd-t and fab-t by themselves",
)

ROWS = (
    Attack(
        name="fgsm",
        norms={"linf": (*THREE, "native")},
        on_request=("native",),
        parameters={
            "eot": EOT,
            "targeted": TARGETED,
            "loss": Parameter("choice", "ce", choices=("ce", "logit"), later=True),
        },
        refusals=(
            Refusal("foolbox", "targeted", "none", "cannot be targeted"),
            _EOT_REFUSED,
            Refusal("torchattacks", "loss", "ce", "increases the cross-entropy"),
        ),
        parity=(Agreement(identical("one signed step of the same gradient")),),
        note="one signed gradient step of size eps; native runs only if a suite names it, and also records "
        "the image before the clip to [0, 1]",
    ),
    Attack(
        name="bim",
        norms={"linf": THREE},
        parameters={"steps": STEPS, "step_size": STEP_SIZE, "eot": EOT, "targeted": TARGETED},
        refusals=(_EOT_REFUSED,),
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
        norms={"linf": (*THREE, *ADV_LIB), "l2": THREE},
        on_request=ADV_LIB,
        parameters={
            "steps": STEPS,
            "step_size": STEP_SIZE,
            "random_start": Parameter("flag", True),
            "restarts": RESTARTS,
            "eot": EOT,
            "targeted": TARGETED,
        },
        refusals=(
            Refusal("torchattacks", "eot", 1, _ONE_GRADIENT, norm="l2"),
            Refusal("adv-lib", "eot", 1, _ONE_GRADIENT),
        ),
        parity=(
            as_adv_lib(
                verdict("adv-lib draws its own start, and keeps the last image that fooled", 0.95)
            ),
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
        parameters={
            "steps": STEPS,
            "step_size": STEP_SIZE,
            "decay": Parameter("amount", 1.0, least=0),
            "eot": EOT,
            "targeted": TARGETED,
        },
        refusals=(_EOT_REFUSED,),
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
    _apgd(
        "apgd-dlr",
        0.85,
        "the ratio of differences of logits; it needs three classes",
        Need(kind="classes", least=3, why="compares the first logit with the third"),
    ),
    Attack(
        name="fab",
        norms=dict.fromkeys(_THREE_NORMS, ("torchattacks", *ADV_LIB)),
        on_request=ADV_LIB,
        every_class=True,
        parameters=_FAB,
        parity=(_FAB_ALIKE,),
        note="projections on the nearest linearised boundary, drawn back by beta to the image; what "
        "lies beyond eps does not count; a gradient for every class a step",
    ),
    Attack(
        name="fab-t",
        norms={
            "linf": ("torchattacks", *NATIVE, *ADV_LIB),
            "l2": ("torchattacks", *NATIVE, *ADV_LIB),
            "l1": ("torchattacks", *ADV_LIB),
        },
        on_request=(*NATIVE, *ADV_LIB),
        parameters={**_FAB, "targets": _TARGETS},
        refusals=(
            Refusal("adv-lib", "restarts", 1, "begins anew only once it has tried every class"),
        ),
        parity=(
            _FAB_ALIKE,
            Agreement(
                verdict("the same steps; native's projections are rounded differently", 0.95)
            ),
        ),
        note="FAB towards each of the classes most likely next in turn, at most `targets` of them; a "
        "gradient a step",
    ),
    Attack(
        name="apgd-t",
        norms={
            "linf": ("torchattacks", *NATIVE, *ADV_LIB),
            "l2": ("torchattacks", *NATIVE, *ADV_LIB),
            "l1": ADV_LIB,
        },
        on_request=(*NATIVE, *ADV_LIB),
        parameters={
            "steps": Parameter("count", 100, least=1),
            "restarts": RESTARTS,
            "eot": EOT,
            "targets": _TARGETS,
        },
        absent={"art": "its ratio of differences of logits knows no target"},
        parity=(
            as_adv_lib(
                verdict(
                    "adv-lib's ratio sets the target against the likeliest other class, and not the label",
                    0.9,
                )
            ),
            Agreement(
                verdict("each draws its own start, native in the ball, torchattacks on it", 0.95)
            ),
        ),
        needs=(
            Need(kind="classes", least=4, why="compares the first logit with the third and fourth"),
        ),
        note="APGD on the targeted ratio of differences of logits, towards each of the classes most "
        "likely next in turn, at most `targets` of them; it needs four classes",
    ),
    Attack(
        name="autoattack",
        norms={"linf": ("torchattacks", *NATIVE), "l2": ("torchattacks", *NATIVE)},
        on_request=NATIVE,
        parameters={
            "steps": Parameter("count", 100, least=1, constant_cost=True),
            "queries": Parameter("count", 5000, least=1),
            "apgd_t": Parameter("flag", True),
            "fab_t": Parameter("flag", True),
        },
        absent={
            "art": "its class of that name has DeepFool for FAB and no targeted part, and needs a "
            "package that it does not name"
        },
        needs=(
            Need(
                kind="classes",
                least=4,
                flag="apgd_t",
                why="has apgd-t for a part",
                instead="set apgd_t=false to go without that part",
            ),
            _ODD_SQUARE,
        ),
        parity=(Agreement(verdict("each draws its own starts and squares", 0.95)),),
        note="apgd-ce, apgd-t, fab-t and square, each on the images that withstood the last, with the "
        "published numbers of steps (torchattacks' own class takes 10); apgd_t=false leaves out "
        "apgd-t, which needs four classes, and fab_t=false leaves out fab-t",
    ),
    Attack(
        name="cascade",
        norms={"linf": NATIVE, "l2": NATIVE},
        parameters={"members": Parameter("members", "apgd-ce, apgd-t, fab-t, square")},
        instead="name its members in a suite file",
        note="the attacks listed in `members`, in order, each on the images that withstood those before; rows say "
        "which one broke the image",
    ),
    Attack(
        name="worst-case-fast",
        norms={"linf": NATIVE, "l2": NATIVE},
        parameters={
            "steps": Parameter("count", 20, least=1),
            "restarts": Parameter("count", 4, least=1),
            "targets": Parameter("count", 6, least=0),
            "queries": Parameter("count", 5000, least=1, constant_cost=True),
        },
        needs=(
            Need(
                kind="classes",
                least=4,
                flag="targets",
                why="has apgd-t for a part",
                instead="set targets=0 to go without that part",
            ),
            _ODD_SQUARE,
        ),
        note="apgd-ce, apgd-dlr and apgd-t with few steps, each on the images that withstood the last, and square "
        "only where gradients cannot be trusted: on images that have none, or that a short look of square brings "
        "nearer to another class than gradients do; meant to come close to AutoAttack at a tenth of its passes",
    ),
    Attack(
        name="universal",
        norms={"linf": ("art", "native"), "l2": ("art", "native")},
        irreducible="all images share one perturbation",
        parameters={
            "delta": Parameter("amount", 0.2, least=0, below=1),
            "passes": Parameter("count", 10, least=1),
            "batch": Parameter("count", 100, least=1, constant_cost=True),
            "steps": Parameter("count", 10, least=1),
            "overshoot": Parameter("amount", 0.02, least=0),
            "candidates": Parameter("count", 10, least=2),
            "fit": Parameter("fit", "train 1000"),
            "fitted_on": Parameter("model", ITSELF),
            "inner": Parameter("choice", "l2", choices=("l2", "ball"), later=True),
            "clip": Parameter("flag", True, later=True),
            "keep": Parameter("choice", "last", choices=("last", "best"), later=True),
        },
        refusals=(
            Refusal("art", "batch", 1, "takes one image at a time: batch is 1"),
            Refusal("art", "inner", "l2", "has DeepFool in l2 alone"),
            Refusal("art", "clip", True, "clips every image"),
            Refusal("art", "keep", "last", "keeps the perturbation of the last pass"),
        ),
        needs=(
            Need(
                kind="candidates",
                toolkit="art",
                why="is of DeepFool, which mixes up classes there when it tries fewer than all",
            ),
        ),
        parity=(
            Agreement(
                differs(
                    "ART draws another order, and keeps of v what the box of the last image left of it"
                )
            ),
        ),
        note="one perturbation for all images, fitted with DeepFool on `fit` until a share of "
        "1 - delta is fooled or the passes are done; batch 1 is as published; clip=false, in native, "
        "clips nothing during the fit, and also records the images before the clip",
    ),
    Attack(
        name="adaptive",
        norms={"linf": ("native",), "l2": ("native",)},
        access="whole",
        parameters={"passes": Parameter("count", 3000, least=50)},
        note="for models whose gradients lie, a cascade on the images that withstood what came before: gradients "
        "of all surfaces, gradients past what has none and of networks inside, mean gradients around a point, the "
        "scores, a substitute, and the decisions alone; sees the whole model",
    ),
)

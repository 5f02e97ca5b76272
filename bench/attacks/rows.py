"""One row an attack: its norms and toolkits, its words, what each toolkit refuses, and parity.

To add an attack, add a row here and a function of the same (name, norm) to the `ATTACKS` table of
each driver that has it; the tests that are made from this table then cover it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from bench.spec import Norm, Scalar, Toolkit

ParityClass = Literal["identical", "one-ulp", "verdict", "norm", "differs"]
WordKind = Literal["count", "amount", "flag", "target"]

#: The default of a step size that follows the radius: a quarter of it, as an exact fraction.
QUARTER_OF_EPS = "eps/4"


@dataclass(frozen=True, slots=True)
class Word:
    """A parameter of an attack.

    Attributes:
        kind: `count` a whole number, `amount` a number or a fraction, `flag` true or false,
            `target` a rule for the wanted class.
        default: its value when nobody says otherwise.
        least: the smallest value allowed; for an amount, None means anything above 0.
    """

    kind: WordKind
    default: Scalar
    least: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A word of which a toolkit knows a single value."""

    toolkit: Toolkit
    word: str
    only: Scalar
    reason: str


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two toolkits agree on one attack.

    Attributes:
        cls: `identical` images; `one-ulp`: images equal but for rounding; `verdict`: the same
            images fall; `norm`: median norms are alike; `differs`: they are not the same algorithm,
            and are shown side by side but not judged.
        low: the smallest share of equal verdicts, or the smallest ratio of median norms.
        high: the largest.
        cause: why they agree no further.
    """

    cls: ParityClass
    low: float
    high: float
    cause: str

    def swapped(self) -> Parity:
        """Return the same with left and right exchanged."""
        if self.cls != "norm":
            return self
        return Parity(self.cls, 1 / self.high, 1 / self.low, self.cause)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The parity of one pair of toolkits; None for any pair. The first that fits counts."""

    parity: Parity
    pair: tuple[Toolkit, Toolkit] | None = None
    norm: Norm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        norms: the norms it exists for, and the toolkits that have it there.
        minimal: it looks for the nearest adversarial image and takes no radius.
        access: what it needs of a model.
        absent: why a toolkit that seems to have it does not.
        note: one line for people.
    """

    name: str
    norms: Mapping[Norm, tuple[Toolkit, ...]]
    note: str
    minimal: bool = False
    access: Literal["white", "score", "decision"] = "white"
    words: Mapping[str, Word] = field(default_factory=lambda: MappingProxyType({}))
    absent: Mapping[Toolkit, str] = field(default_factory=lambda: MappingProxyType({}))
    refusals: tuple[Refusal, ...] = ()
    parity: tuple[Agreement, ...] = ()


def _identical(cause: str) -> Parity:
    return Parity("identical", 1.0, 1.0, cause)


def _verdict(cause: str) -> Parity:
    return Parity("verdict", 0.99, 1.0, cause)


def _norm(low: float, high: float, cause: str) -> Parity:
    return Parity("norm", low, high, cause)


_THREE: tuple[Toolkit, ...] = ("art", "foolbox", "torchattacks")
_STEPS = Word("count", 10, least=1)
_STEP_SIZE = Word("amount", QUARTER_OF_EPS)
_TARGETED = Word("target", "none")

_ROWS = (
    Attack(
        name="fgsm",
        norms={"linf": _THREE},
        words={"targeted": _TARGETED},
        refusals=(Refusal("foolbox", "targeted", "none", "cannot be targeted"),),
        parity=(Agreement(_identical("one signed step of the same gradient")),),
        note="one signed gradient step of size eps",
    ),
    Attack(
        name="bim",
        norms={"linf": _THREE},
        words={"steps": _STEPS, "step_size": _STEP_SIZE, "targeted": _TARGETED},
        parity=(
            Agreement(
                _identical("the same steps, each clipped to the ball and then to [0, 1]"),
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
                _identical("the same steps; a random start is drawn once for all toolkits"),
                norm="linf",
            ),
            Agreement(
                _verdict("the same steps and start; projections and norms are rounded differently"),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(_verdict("ART clips to [0, 1] before it projects, the others after")),
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
                _identical("the same accumulated gradients, each divided by its mean magnitude"),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(
                _verdict("ART multiplies by 1/||g||_1: rounding may turn a sign where they cancel")
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
                _norm(0.999, 1.001, "the same steps, rounded otherwise in batches of other sizes"),
                pair=("foolbox", "native"),
            ),
            Agreement(_verdict("the same linear steps; where each stops and overshoots differs")),
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
                _norm(
                    0.9,
                    1.1,
                    "the same objective, start and optimiser; each keeps its own count of the best image",
                ),
                pair=("foolbox", "torchattacks"),
            ),
            Agreement(
                _norm(0.8, 1.4, "ART descends with a line search instead of Adam"),
                pair=("art", "foolbox"),
            ),
            Agreement(
                _norm(0.8, 1.4, "ART descends with a line search instead of Adam"),
                pair=("art", "torchattacks"),
            ),
        ),
        note="least l2 norm plus c times the margin, by Adam; ART's line search does in a third of "
        "the steps what Adam does, and is given that many",
    ),
    Attack(
        name="noise",
        norms={"linf": ("foolbox", "native"), "l2": ("foolbox", "native")},
        access="decision",
        absent={"torchattacks": "its GN takes a standard deviation, not a radius"},
        parity=(
            Agreement(
                _norm(0.9, 1.1, "each draws its own noise"),
            ),
        ),
        note="one draw: uniform in the ball for linf, a Gaussian direction of length eps for l2",
    ),
)

ATTACKS: Mapping[str, Attack] = MappingProxyType({row.name: row for row in _ROWS})

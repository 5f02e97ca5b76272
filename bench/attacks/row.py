"""The types of the attack table: norms, toolkits, parameters, refusals and parity of an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from bench.spec import Norm, Scalar, Toolkit

ParityClass = Literal["identical", "one-ulp", "verdict", "rate", "norm", "differs"]
WordKind = Literal[
    "count", "amount", "amounts", "flag", "choice", "target", "fit", "model", "file", "members"
]  # fmt: skip
NeedKind = Literal["classes", "candidates", "square-images", "square", "odd-square", "pairs"]

#: The default of a step size that follows the radius: a quarter of it, as an exact fraction.
QUARTER_OF_EPS = "eps/4"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an attack.

    Attributes:
        kind: `count` a whole number, `amount` a number or a fraction, `amounts` several of these above 0 in a
            text (`0.25 0.5`) or `none`, see `bench.attacks.values.amounts`, `flag` true or false,
            `choice` one of `choices`, `target` a rule for the target class, `fit` a split and how many of
            its images (`train 1000`), `model` the name of a model, or `itself`, `file` the path of a file, which must be given,
            `members` attacks in order (`bench.attacks.members`).
        default: its value if none is given.
        least: the smallest value allowed; for an amount, None means anything above 0.
        constant_cost: the parameter is a count, such as of iterations, but cost does not scale with it.
        below: what an amount must stay below; None for no bound.
        most: the largest amount allowed; None for no bound.
        meaning: what it means, in one line; empty where `bench.attacks.described` says it.
        choices: the values a `choice` may have; for an `amount`, words allowed in place of a number.
        later: whether the parameter was added to an attack that had stored cells. Then it is part of an
            attack, and of the key of a cell, only if it differs from its default, so that older cells keep
            their keys. The default must be what the attack did before. Read such a parameter with
            `bench.attacks.catalogue.parameter`.
    """

    kind: WordKind
    default: Scalar
    least: float | None = None
    constant_cost: bool = False
    below: float | None = None
    most: float | None = None
    meaning: str = ""
    choices: tuple[str, ...] = ()
    later: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an attack needs from a model's images or classes, in every toolkit and norm or only in one.

    Attributes:
        kind: `classes`: at least `least` classes; `candidates`: the parameter of that name is at least
            the number of classes; `square-images`: square images with at least `least` pixels a side;
            `square`: room for a square that covers a share `p_init` of the pixels, plus `least` pixels;
            `odd-square`: the same with an odd side of 3 or more; `pairs`: a share `gamma` of the values
            is at least one pair.
        why: what the attack does that needs it; follows the attack's name.
        side: for a square, the least number of pixels a side that images need besides.
        flag: a parameter of the attack; if that is false, the need does not exist; None for always.
        instead: what to do about it.
    """

    kind: NeedKind
    why: str
    least: int = 0
    side: int = 1
    toolkit: Toolkit | None = None
    norm: Norm | None = None
    flag: str | None = None
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A parameter of which a toolkit supports a single value, in one norm or (None) in any."""

    toolkit: Toolkit
    parameter: str
    only: Scalar
    reason: str
    norm: Norm | None = None


@dataclass(frozen=True, slots=True)
class Parity:
    """How closely two toolkits must agree on one attack.

    Attributes:
        cls: `identical`: equal images; `one-ulp`: images equal except for rounding; `verdict`: the same
            images are fooled; `rate`: as many images are fooled, not necessarily the same ones; `norm`:
            median norms are close, and as many images are fooled; `differs`: not the same algorithm, so
            results are shown side by side but not judged.
        low: the smallest share of equal verdicts, the smallest difference of success rates (left minus
            right), or the smallest ratio of median norms.
        high: the largest.
        cause: why they do not agree more closely.
        within: for `norm`, how much success rates may differ.
    """

    cls: ParityClass
    low: float
    high: float
    cause: str
    within: float = 0.0

    def swapped(self) -> Parity:
        """Return the same parity with left and right exchanged."""
        if self.cls == "rate":
            return Parity(self.cls, -self.high, -self.low, self.cause)
        if self.cls != "norm":
            return self
        return Parity(self.cls, 1 / self.high, 1 / self.low, self.cause, self.within)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The parity of one pair of toolkits, of every pair with one of them, or of any pair.

    The first match counts. Of a parity with a direction (`norm`), only `pair` says which side is left; of
    one with a `toolkit` the bounds have to be the same both ways.
    """

    parity: Parity
    pair: tuple[Toolkit, Toolkit] | None = None
    norm: Norm | None = None
    toolkit: Toolkit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        norms: the norms it exists for, each with the toolkits that have it.
        minimal: whether it searches for the nearest adversarial image and takes no radius.
        access: what it uses of a model: `whole` everything, inside and out; `white` one of its surfaces;
            `score` its scores; `decision` its decisions; `none` nothing that is known here.
        rows: the name of the kind of its rows (`RowKind`): attacks on images, or measurements.
        on_request: toolkits that run it only if a suite names them, or in a norm that no other has.
        absent: why a toolkit that seems to have it does not.
        irreducible: why its goal cannot be less confidence in the label; empty if it can.
        packages: what must be installed besides a toolkit, by a name that pip and Python share.
        needs: what it needs from the model.
        every_class: whether each step takes a gradient for every class of the model.
        image_by_image: toolkits that attack image by image, where passes cost more time.
        evidence: whether withstanding it is evidence of robustness; not so for noise drawn without
            looking at the model, nor for images that are not searched in the ball.
        check: raises `SpecError` for parameter values that do not go together.
        instead: for a measurement that is no attack, what to call in Python instead of `bench.attack`.
        note: one line for people.
    """

    name: str
    norms: Mapping[Norm, tuple[Toolkit, ...]]
    note: str
    minimal: bool = False
    access: Literal["whole", "white", "score", "decision", "none"] = "white"
    rows: str = "attack"
    every_class: bool = False
    image_by_image: tuple[Toolkit, ...] = ()
    evidence: bool = True
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    on_request: tuple[Toolkit, ...] = ()
    absent: Mapping[Toolkit, str] = field(default_factory=lambda: MappingProxyType({}))
    irreducible: str = ""
    packages: Mapping[Toolkit, str] = field(default_factory=lambda: MappingProxyType({}))
    needs: tuple[Need, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    parity: tuple[Agreement, ...] = ()
    check: Callable[[Mapping[str, Scalar]], None] | None = None
    instead: str = "ask for it in a suite file"


def identical(cause: str) -> Parity:
    """Return the parity of two toolkits that give identical images."""
    return Parity("identical", 1.0, 1.0, cause)


def verdict(cause: str, low: float = 0.99) -> Parity:
    """Return the parity under which all but a share of 1 - `low` of the verdicts are equal."""
    return Parity("verdict", low, 1.0, cause)


def rate(within: float, cause: str) -> Parity:
    """Return the parity under which success rates differ by at most `within`."""
    return Parity("rate", -within, within, cause)


def differs(cause: str) -> Parity:
    """Return the parity of two toolkits with different algorithms under one name."""
    return Parity("differs", 0.0, 1.0, cause)


def norm(low: float, high: float, cause: str, within: float = 0.05) -> Parity:
    """Return the parity under which the ratio of median norms, left to right, lies in [low, high].

    Success rates may differ by at most `within`.
    """
    return Parity("norm", low, high, cause, within)

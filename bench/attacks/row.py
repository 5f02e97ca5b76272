"""What a row of the attack table says: norms, toolkits, parameters, refusals and parity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from bench.spec import Norm, Scalar, Toolkit

ParityClass = Literal["identical", "one-ulp", "verdict", "rate", "norm", "differs"]
WordKind = Literal["count", "amount", "flag", "target", "fit", "model"]
NeedKind = Literal["classes", "candidates", "square-images", "square", "odd-square", "pairs"]

#: The default of a step size that follows the radius: a quarter of it, as an exact fraction.
QUARTER_OF_EPS = "eps/4"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an attack.

    Attributes:
        kind: `count` a whole number, `amount` a number or a fraction, `flag` true or false,
            `target` a rule for the wanted class, `fit` a split and how many of its images
            (`train 1000`), `model` the name of a model, or `itself`.
        default: its value when nobody says otherwise.
        least: the smallest value allowed; for an amount, None means anything above 0.
        constant_cost: the parameter is a count, such as of iterations, but cost does not scale with it.
        below: what an amount must stay below; None for no bound.
        most: the largest amount allowed; None for no bound.
        meaning: what it means, in one line; empty where `bench.attacks.described` says it.
    """

    kind: WordKind
    default: Scalar
    least: float | None = None
    constant_cost: bool = False
    below: float | None = None
    most: float | None = None
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an attack needs of a model's images or classes, in every toolkit and norm or in one.

    Attributes:
        kind: `classes` at least `least` of them; `candidates`: its parameter of that name is no less
            than the number of classes; `square-images` with at least `least` pixels a side; `square`: room for the
            square of a share `p_init` of the pixels, and `least` more; `odd-square`: for that of an
            odd side from 3; `pairs`: a share `gamma` of the values is a pair at least.
        why: what the attack does that needs it, after its name.
        side: of a square, that images have so many pixels a side besides.
        flag: a parameter of the attack, without which it needs nothing; None for always.
        instead: what else to do.
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
    """A parameter for which a toolkit takes a single value, in one norm or (None) in any."""

    toolkit: Toolkit
    parameter: str
    only: Scalar
    reason: str
    norm: Norm | None = None


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two toolkits agree on one attack.

    Attributes:
        cls: `identical` images; `one-ulp`: images equal but for rounding; `verdict`: the same
            images fall; `rate`: as many images fall, though not the same ones; `norm`: median norms
            are alike, and as many images fall; `differs`: they are not the same algorithm, and are
            shown side by side but not judged.
        low: the smallest share of equal verdicts, the smallest difference of success rates, left
            less right, or the smallest ratio of median norms.
        high: the largest.
        cause: why they agree no further.
        within: of `norm`, by how much success rates may differ.
    """

    cls: ParityClass
    low: float
    high: float
    cause: str
    within: float = 0.0

    def swapped(self) -> Parity:
        """Return the same with left and right exchanged."""
        if self.cls == "rate":
            return Parity(self.cls, -self.high, -self.low, self.cause)
        if self.cls != "norm":
            return self
        return Parity(self.cls, 1 / self.high, 1 / self.low, self.cause, self.within)


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
        rows: the name of the kind of its rows (`RowKind`): attacks on images, or measurements.
        absent: why a toolkit that seems to have it does not.
        irreducible: why it cannot aim at less confidence in the label; empty where it can.
        packages: what must be installed beside a toolkit, by the name pip and Python both know.
        needs: what it needs of the model.
        every_class: each of its steps takes a gradient for every class of the model.
        image_by_image: toolkits that attack image by image, which makes a pass through the model dearer.
        evidence: whether an image that withstands it shows anything of the threat; not so of noise
            drawn without a look at the model, nor of images that are not sought in the ball.
        check: raises `SpecError` for values of its parameters that do not go together.
        instead: of what is no attack, what to call in Python in place of `bench.attack`.
        note: one line for people.
    """

    name: str
    norms: Mapping[Norm, tuple[Toolkit, ...]]
    note: str
    minimal: bool = False
    access: Literal["white", "score", "decision"] = "white"
    rows: str = "attack"
    every_class: bool = False
    image_by_image: tuple[Toolkit, ...] = ()
    evidence: bool = True
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    absent: Mapping[Toolkit, str] = field(default_factory=lambda: MappingProxyType({}))
    irreducible: str = ""
    packages: Mapping[Toolkit, str] = field(default_factory=lambda: MappingProxyType({}))
    needs: tuple[Need, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    parity: tuple[Agreement, ...] = ()
    check: Callable[[Mapping[str, Scalar]], None] | None = None
    instead: str = "ask for it in a suite file"


def identical(cause: str) -> Parity:
    """Return that two toolkits give identical images."""
    return Parity("identical", 1.0, 1.0, cause)


def verdict(cause: str, low: float = 0.99) -> Parity:
    """Return that the same images fall, but for a share of 1 - `low`."""
    return Parity("verdict", low, 1.0, cause)


def rate(within: float, cause: str) -> Parity:
    """Return that success rates differ by no more than `within`, whichever images fall."""
    return Parity("rate", -within, within, cause)


def differs(cause: str) -> Parity:
    """Return that two toolkits have different algorithms under one name."""
    return Parity("differs", 0.0, 1.0, cause)


def norm(low: float, high: float, cause: str, within: float = 0.05) -> Parity:
    """Return that the ratio of median norms, left to right, lies in [low, high].

    Success rates differ by no more than `within`, whichever images fall.
    """
    return Parity("norm", low, high, cause, within)

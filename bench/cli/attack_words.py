"""The attacks that the words of `bench attack` ask for, checked against the catalogue. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.attacks.catalogue import (
    available,
    is_fitted,
    is_minimal,
    refusal,
    resolve,
    row_kind,
    row_of,
)
from bench.attacks.needs import unmet
from bench.attacks.toolkits import shortfall
from bench.errors import PrerequisiteError, SpecError, UnsupportedAttack
from bench.registry import unknown
from bench.spec import EVERY_TOOLKIT, NORMS, AttackSpec, ModelSpec, Norm, Scalar, Toolkit, whole

#: Parameters that are an error for an attack that does not have them, and those that name a class.
_AIMS, _CLASSES = ("targeted", "source", "goal"), ("targeted", "source")
_RULES = ("none", "next", "least-likely", "random")
#: A message with all names in it is no help if it is longer (characters).
_LONG = 300
#: What has an option of its own.
_OPTIONS = ("eps", "norm", "toolkit", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackWords:
    """What a command says of its attacks.

    Attributes:
        names: of the attacks, each with its norm and eps where it has its own: `fgsm`, `pgd l2 0.5`.
        norm: of those that say none; None for the usual one of each.
        eps: of those that say none and take one.
        settings: `parameter=value`, for every attack that has the parameter.
        toolkit: that runs them; None for the first that can.
    """

    names: Sequence[str]
    norm: str | None = None
    eps: str | None = None
    settings: Sequence[str] = ()
    toolkit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAttack:
    """An attack that was asked for.

    Attributes:
        spec: with all its parameters.
        given: the parameters that were given.
        toolkit: that was named; None for the first that can.
    """

    spec: AttackSpec
    given: Mapping[str, Scalar]
    toolkit: Toolkit | None

    def runner(self, model: ModelSpec) -> Toolkit:
        """Return the toolkit that runs it on a model: the one named, else ours, else the first that can.

        Raises:
            UnsupportedAttack: none can.
            PrerequisiteError: one could, but is not installed.
        """
        name, norm = self.spec.name, self.spec.norm
        having = sorted(available(name, norm), key=lambda kit: kit != "native")
        able = [self.toolkit] if self.toolkit else having
        lacking = None
        for kit in able:
            why = refusal(self.spec, kit) or unmet(
                self.spec, kit, model.input_shape, model.num_classes
            )
            missing = shortfall(row_of(name), kit)
            if why is None and missing is None:
                return kit
            lacking = lacking or (
                UnsupportedAttack(why) if why else PrerequisiteError(str(missing))
            )
        assert lacking is not None  # every norm of an attack has a toolkit
        raise lacking


def asked_attacks(words: AttackWords, classes: Sequence[str]) -> list[AskedAttack]:
    """Return the attacks that a command asks for, in its order.

    Args:
        words: of the command.
        classes: names of the model's classes, by which a target may be called.

    Raises:
        SpecError: an unknown attack, norm, parameter or class, a value out of range, or one that no attack
            takes; an attack that needs many images.
        UnsupportedAttack: the toolkit that was named has no such attack.
    """
    parts = [_parts(text) for text in words.names]
    for name, _, _ in parts:
        _check_single(name)
    settings = dict(_setting(text, classes) for text in words.settings)
    asked = [_asked(part, parts, words, settings) for part in parts]
    return list({one.spec: one for one in asked}.values())


#: Name, norm and eps of an attack, as far as they are said with it.
_Parts = tuple[str, str | None, str | None]


def _parts(text: str) -> _Parts:
    """Return name, norm and eps of an attack as it is called in tables: `pgd`, `pgd l2 0.5`, `pgd 8/255`."""
    name, *rest = text.split() or [""]
    norm = rest.pop(0) if rest and rest[0] in NORMS else None
    eps = rest.pop(0) if rest else None
    if rest:
        raise SpecError(
            f"--attack {text!r}: write its name, and norm and eps if they are its own: 'fgsm linf 8/255'"
        )
    return name, norm, eps


def _check_single(name: str) -> None:
    """Raise unless an attack is one on single images."""
    if is_fitted(name):
        raise SpecError(
            f"{name} is fitted on many images and is not made for one; ask for it in a suite file, with "
            f"bench run --suite FILE, or in Python with bench.attack(..., fit=(x, y))"
        )
    if not row_kind(name).attacks:
        raise SpecError(f"{name} is no attack; {row_of(name).instead}")


def _asked(
    part: _Parts, parts: Sequence[_Parts], words: AttackWords, settings: Mapping[str, Scalar]
) -> AskedAttack:
    name, norm, eps = part
    names = [other for other, _, _ in parts]
    # What only some attacks take goes to these; what none takes, to all, so that it is an error.
    if eps is None and (not is_minimal(name) or all(map(is_minimal, names))):
        eps = words.eps
    given = {
        parameter: value
        for parameter, value in settings.items()
        if parameter in _AIMS
        or _has(name, parameter)
        or not any(_has(other, parameter) for other in names)
    }
    spec = resolve(name, norm or words.norm or usual_norm(name), eps, given)
    toolkit = next((kit for kit in EVERY_TOOLKIT if kit == words.toolkit), None)
    if words.toolkit is not None and toolkit is None:
        raise unknown("toolkit", words.toolkit, list(EVERY_TOOLKIT))
    why = None if toolkit is None else refusal(spec, toolkit)
    if why is not None:
        raise UnsupportedAttack(why)
    return AskedAttack(spec=spec, given=given, toolkit=toolkit)


def _has(name: str, parameter: str) -> bool:
    return parameter in row_of(name).parameters


def usual_norm(name: str) -> Norm:
    """Return the norm of an attack for which none is given.

    That is linf for an attack within a radius and l2 for one that looks for the nearest image; of one
    without that norm, its first.
    """
    norms, usual = list(row_of(name).norms), "l2" if is_minimal(name) else "linf"
    return next((norm for norm in norms if norm == usual), norms[0])


def _setting(text: str, classes: Sequence[str]) -> tuple[str, Scalar]:
    """Return a parameter and its value, as a suite file would have it."""
    parameter, equals, value = (part.strip() for part in text.partition("="))
    if not (parameter and equals and value):
        raise SpecError(f"--set {text}: write PARAMETER=VALUE, such as steps=20")
    if parameter in _OPTIONS:
        raise SpecError(f"--set {text}: write --{parameter} {value}")
    if value in ("true", "false"):
        return parameter, value == "true"
    if parameter in _CLASSES and value not in _RULES:
        return parameter, class_number(value, classes, f"--set {parameter}")
    number = whole(value)
    return parameter, value if number is None else number


def class_number(text: str, classes: Sequence[str], option: str) -> int:
    """Return the number of a class that is named or numbered.

    A name is looked for first, so that `3` is the digit. Capital letters make no difference.

    Args:
        text: as the user wrote it.
        classes: names of the classes.
        option: what the class is given for, for messages.

    Raises:
        SpecError: no class has that name, or several have.
    """
    found = [at for at, name in enumerate(classes) if name.casefold() == text.casefold()]
    if len(found) > 1:
        numbers = " and ".join(map(str, found))
        raise SpecError(
            f"{option}: classes {numbers} are both called {text!r}; give the number of one"
        )
    if found:
        return found[0]
    number = whole(text)
    if number is None:
        why = str(unknown("class", text, list(classes)))
        if len(why) > _LONG or not classes:
            why = f"none of the model's classes is known as {text!r}"
        raise SpecError(f"{option}: {why} (a number will do too)")
    return number

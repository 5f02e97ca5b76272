"""The members of a cascade as a suite writes them, and as one text in a cell.

`members = [{ name = "apgd-ce", steps = 20 }, { name = "square", toolkit = "torchattacks" }]` in a suite file is the same as
the text `apgd-ce steps=20, square toolkit=torchattacks`. In a cell every parameter and toolkit is written out.
Nothing here imports torch or a toolkit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.attacks import catalogue
from bench.attacks.row import Parameter
from bench.errors import SpecError
from bench.spec import AttackSpec, Norm, Scalar, Toolkit, whole

#: What a member may say besides parameters.
_NAME, _TOOLKIT = "name", "toolkit"
#: What the cascade says for all of its members.
_OF_THE_WHOLE = ("norm", "eps")


class Asked(NamedTuple):
    """A member of a cascade: an attack of its norm and radius, and the toolkit that runs it."""

    spec: AttackSpec
    toolkit: Toolkit


def read_members(value: object, norm: Norm, eps: str | None) -> list[Asked]:
    """Return the members that a suite asks for, in order.

    Args:
        value: a list of tables or of texts, or one text, see above.
        norm: of the cascade.
        eps: its radius as exact text.

    Raises:
        SpecError: no member, an unknown one, one that a cascade cannot have, or a wrong parameter.
    """
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, Sequence) or not given:
        raise SpecError(
            'cascade: members: list the attacks in order, as in members = [{ name = "apgd-ce", steps = 20 }]'
        )
    found = []
    for place, member in enumerate(given, 1):
        try:
            found.append(_asked(member, norm, eps))
        except SpecError as error:
            raise type(error)(f"cascade: members[{place}]: {error}") from error
    return found


def written(members: Sequence[Asked]) -> str:
    """Return members as one text, with every parameter."""
    return ", ".join(
        " ".join([spec.name, *(f"{word}={_text(value)}" for word, value in spec.parameters),
                  f"{_TOOLKIT}={toolkit}"])
        for spec, toolkit in members
    )  # fmt: skip


def _asked(member: object, norm: Norm, eps: str | None) -> Asked:
    words = _words(member)
    name = words.pop(_NAME, None)
    if not isinstance(name, str) or not name:
        raise SpecError('it has no name; write one, as in { name = "apgd-ce" }')
    for word in _OF_THE_WHOLE:
        if word in words:
            raise SpecError(f"{word} is that of the whole cascade; leave it out")
    _check_fits(name)
    toolkit = words.pop(_TOOLKIT, None)
    rules = catalogue.row_of(name).parameters
    values = {word: _value(value, rules.get(word)) for word, value in words.items()}
    spec = catalogue.resolve(name, norm, eps, values)
    return Asked(spec, _runner(spec, toolkit))


def _words(member: object) -> dict[str, Any]:
    """Return what a member says, by word: of a table, or of a text such as `apgd-ce steps=20`."""
    if isinstance(member, Mapping):
        return dict(member)
    if not isinstance(member, str):
        raise SpecError(f'{member!r} is no table such as {{ name = "apgd-ce", steps = 20 }}')
    name, *rest = member.split() or [""]
    words: dict[str, Any] = {_NAME: name}
    for part in rest:
        word, equals, value = part.partition("=")
        if not equals or not value:
            raise SpecError(f"{part!r} is not written as parameter=value")
        words[word] = value
    return words


def _check_fits(name: str) -> None:
    row = catalogue.row_of(name)
    if row.rows != "attack" or row.access in ("whole", "none") or catalogue.is_fitted(name):
        raise SpecError(
            f"{name} cannot be one of several attacks on the same surface; leave it out"
        )
    if row.minimal:
        raise SpecError(f"{name} takes no eps; a cascade has attacks of one radius")
    if any(rule.kind == "members" for rule in row.parameters.values()):
        raise SpecError(f"{name} has members itself; list these instead")


def _value(value: Any, rule: Parameter | None) -> Any:
    """Return a value that was written as text in the type of its parameter, others as they are."""
    if rule is None or not isinstance(value, str):
        return value
    if rule.kind == "flag":
        return {"true": True, "false": False}.get(value, value)
    number = whole(value) if rule.kind == "count" else None
    return value if number is None else number


def _runner(spec: AttackSpec, named: str | None) -> Toolkit:
    """Return the toolkit that was named, or ours, or else the first that runs the member."""
    having = sorted(catalogue.available(spec.name, spec.norm), key=lambda kit: kit != "native")
    if named is not None:
        having = [kit for kit in having if kit == named]
        if not having:
            raise SpecError(f"{named} has no {spec.name} for {spec.norm}")
    reasons = {kit: catalogue.refusal(spec, kit) for kit in having}
    able = [kit for kit, why in reasons.items() if why is None]
    if not able:
        raise SpecError(str(next(iter(reasons.values()))))
    if spec.targeted != "none" or spec.goal != "misclassification":
        raise SpecError("a cascade looks for any other label; leave targets and goals out")
    return able[0]


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

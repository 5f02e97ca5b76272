"""Parameter values as users write them, checked against the attack's row of the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from bench.attacks.row import QUARTER_OF_EPS, Attack, Parameter
from bench.errors import SpecError, UnsupportedAttack
from bench.registry import unknown
from bench.spec import GOALS, ITSELF, Norm, Scalar, number, whole

_FIT = re.compile(r"(\S+) +([1-9][0-9]*)", re.ASCII)
#: The largest value of a count parameter.
_MOST = 10**9
#: A radius of each norm, for messages.
_RADII: Mapping[Norm, str] = {
    "l0": "3 (pixels)", "l1": "'5'", "l2": "'0.5'", "linf": "'8/255'"
}  # fmt: skip
_NO_AMOUNTS = "none"
_TARGET_RULES = ("none", "next", "least-likely", "random")


def norm_of(attack: Attack, norm: str) -> Norm:
    """Return one of an attack's norms.

    Raises:
        UnsupportedAttack: the attack has no such norm.
    """
    for known in attack.norms:
        if known == norm:
            return known
    raise UnsupportedAttack(f"{attack.name} has no norm {norm!r}; it has {', '.join(attack.norms)}")


def _amount_text(value: Scalar, what: str) -> str:
    """Return an amount as exact text in one spelling: `8/255` stays, `1.0` and `"1"` become `1`."""
    if isinstance(value, str) and "/" in value:
        number(value, what)
        return value.replace(" ", "")
    amount = number(value, what)
    if amount in (float("inf"), float("-inf")):
        raise SpecError(f"{what}: {value!r} is not a finite number")
    return str(int(amount)) if amount == int(amount) else repr(amount)


def radius_text(attack: Attack, norm: Norm, eps: float | str | None) -> str | None:
    """Return the radius of an attack as exact text; None for a minimal-norm attack.

    Raises:
        SpecError: it is missing, out of range, or given to a minimal-norm attack.
    """
    if attack.minimal:
        if eps is not None:
            raise SpecError(
                f"{attack.name} looks for the smallest perturbation and takes no eps; leave it out"
            )
        return None
    if eps is None:
        raise SpecError(f"{attack.name} needs eps, the radius in {norm}, such as {_RADII[norm]}")
    text = _amount_text(eps, f"{attack.name}: eps")
    value = number(text)
    if value <= 0 or (norm == "linf" and value > 1):
        bounds = "above 0 and at most 1" if norm == "linf" else "above 0"
        raise SpecError(f"{attack.name}: eps={text} is out of range; in {norm} it must be {bounds}")
    if norm == "l0" and value != int(value):
        raise SpecError(
            f"{attack.name}: eps={text} is not a number of pixels; in l0 it must be whole"
        )
    return text


def amounts(text: Scalar) -> tuple[float, ...]:
    """Return the numbers of a parameter of kind `amounts`, ascending; none of `none`."""
    return () if text == _NO_AMOUNTS else tuple(number(each) for each in str(text).split())


def _amounts_text(value: Scalar, what: str) -> str:
    """Return several amounts in one spelling: `0.5 0.25` becomes `0.25 0.5`."""
    if value == _NO_AMOUNTS:
        return _NO_AMOUNTS
    if isinstance(value, str) and ("," in value or ";" in value):
        raise SpecError(f"{what}: {value!r}: write spaces between the numbers, as in '0.25 0.5'")
    words = value.split() if isinstance(value, str) else [value]
    texts = {_amount_text(each, what) for each in words}
    if not texts or any(number(each) <= 0 for each in texts):
        raise SpecError(
            f"{what}: {value!r} is neither {_NO_AMOUNTS!r} nor numbers above 0 like '0.25 0.5'"
        )
    return " ".join(sorted(texts, key=number))


def _target(value: Scalar, what: str) -> str:
    text = str(value)
    if isinstance(value, bool) or not (text in _TARGET_RULES or whole(text) is not None):
        raise SpecError(
            f"{what}: {value!r} is neither one of {', '.join(_TARGET_RULES)} nor a class"
        )
    return text if text in _TARGET_RULES else str(int(text))


def _fit(value: Scalar, what: str) -> str:
    match = _FIT.fullmatch(str(value).strip())
    if match is None:
        raise SpecError(
            f"{what}: {value!r} is not a split and a number of images like 'train 1000'"
        )
    return f"{match[1]} {match[2]}"


def _model(value: Scalar, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{what}: {value!r} is neither the name of a model nor {ITSELF!r}")
    return value.strip()


def _file(value: Scalar, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f'{what}: name the file of the images, as in file = "adversarial.pt"')
    return value.strip()


def parameter_value(what: str, rule: Parameter, value: Scalar, radius: str | None) -> Scalar:
    """Return the value of a parameter in one spelling.

    Args:
        what: the attack and the parameter, for messages.
        rule: the allowed values.
        value: as the user gave it.
        radius: of the attack, as exact text.

    Raises:
        SpecError: it is out of range, or of the wrong type.
    """
    checked = {
        "target": _target, "fit": _fit, "model": _model, "file": _file, "amounts": _amounts_text,
    }.get(rule.kind)  # fmt: skip
    if checked is not None:
        return checked(value, what)
    if rule.kind == "flag":
        if not isinstance(value, bool):
            raise SpecError(f"{what}: {value!r} is neither true nor false")
        return value
    if rule.kind == "choice":
        if value not in rule.choices:
            raise SpecError(f"{what}: {value!r} is none of {', '.join(rule.choices)}")
        return value
    if rule.kind == "count":
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(f"{what}: {value!r} is not a whole number")
        if rule.least is not None and value < rule.least:
            raise SpecError(f"{what}: {value} is too small; it must be at least {rule.least:g}")
        if value > _MOST:
            raise SpecError(f"{what}: {value} is too large; it must be at most {_MOST}")
        return value
    if value in rule.choices:
        return value
    if value == QUARTER_OF_EPS and radius is not None:
        return str(Fraction(radius) / 4)
    or_words = f" ({', '.join(rule.choices)}, or a number)" if rule.choices else ""
    text = _amount_text(value, what + or_words)
    if rule.least is None and number(text) <= 0:
        raise SpecError(f"{what}: {text} is too small; it must be above 0")
    if rule.least is not None and number(text) < rule.least:
        raise SpecError(f"{what}: {text} is too small; it must be at least {rule.least:g}")
    if rule.below is not None and number(text) >= rule.below:
        raise SpecError(f"{what}: {text} is too large; it must be below {rule.below:g}")
    if rule.most is not None and number(text) > rule.most:
        raise SpecError(f"{what}: {text} is too large; it must be at most {rule.most:g}")
    return text


def goal_parameters(
    attack: Attack, goal: Scalar | None, source: Scalar | None, targeted: str
) -> dict[str, Scalar]:
    """Return the parameters of a goal that the target does not imply, checked against the target."""
    if goal is not None and goal not in GOALS:
        raise unknown("goal", str(goal), list(GOALS))
    if source is not None and (isinstance(source, bool) or whole(str(source)) is None):
        raise SpecError(f"{attack.name}: source: {source!r} is not a class")
    if source is not None and targeted == "none":
        raise SpecError(
            f"{attack.name}: source={source} needs a target; set `targeted` to next, least-likely, "
            "random or a class"
        )
    if goal == "confidence-reduction":
        if targeted != "none":
            raise SpecError(f"{attack.name}: confidence reduction has no target; leave it out")
        if attack.irreducible:
            raise SpecError(f"{attack.name} cannot aim at less confidence: {attack.irreducible}")
        return {"goal": goal}
    implied = "misclassification" if targeted == "none" else "targeted"
    implied = implied if source is None else "source-target"
    if goal not in (None, implied):
        raise SpecError(
            f"{attack.name}: goal={goal}, but targeted={targeted} and source="
            f"{'any' if source is None else source} say {implied}"
        )
    return {} if source is None else {"source": int(str(source))}

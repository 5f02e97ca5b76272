"""Numbers as people write them: fractions, whole numbers, radii."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from bench.errors import SpecError
from bench.spec.words import Scalar

#: A whole number of more digits is a count of nothing here.
_DIGITS = 18

#: What a number looks like: the digits 0 to 9, and no exponent that would take for ever to work out.
_NUMBER = re.compile(r"[-+]?([0-9]+/[0-9]+|[0-9]*\.?[0-9]*([eE][-+]?[0-9]{1,3})?)", re.ASCII)

#: A number with a point or an exponent, as TOML writes it, or a negative one.
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]{1,3})?", re.ASCII)


def number(value: object, what: str = "number") -> float:
    """Return `value` as a float; text may be a fraction such as `"8/255"`.

    Raises:
        SpecError: the text is neither a number nor a fraction.
    """
    if isinstance(value, str):
        try:
            text = value.replace(" ", "")
            if not _NUMBER.fullmatch(text):
                raise ValueError(text)
            return float(Fraction(text))
        except (ValueError, ZeroDivisionError, OverflowError):
            raise SpecError(
                f"{what}: {value!r} is not a number or a fraction like '8/255'"
            ) from None
    try:
        amount = float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise SpecError(f"{what}: a number of that size cannot be computed with") from None
    except (TypeError, ValueError):
        amount = float("nan")
    if isinstance(value, bool) or amount != amount:
        raise SpecError(f"{what}: {value!r} is not a number")
    return amount


def whole(text: str) -> int | None:
    """Return a whole number that is written in the digits 0 to 9 alone; None of any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def eps_text(value: float | None) -> str:
    """Return a radius as people write it: `8/255` where it is one, else four significant digits."""
    if value is None or value != value:
        return "minimal"
    steps = value * 255
    if 0 < value < 1 and abs(steps - round(steps)) < 1e-6:
        return f"{round(steps)}/255"
    return f"{value:.4g}"


def scalar(text: str) -> Scalar:
    """Return a number, `true` or `false` as a value; any other text as it is."""
    if text in ("true", "false"):
        return text == "true"
    count = whole(text)
    if count is not None:
        return count
    return float(text) if _DECIMAL.fullmatch(text) else text


def by_eight_bits(norm: str, values: int) -> float:
    """Return how far 8 bits move an image of so many values at most, in a norm; some round down, not to the nearest."""
    most = 1 / 255
    by_norm = {"linf": most, "l2": most * math.sqrt(values), "l1": most * values}
    return by_norm.get(norm, 0.0)

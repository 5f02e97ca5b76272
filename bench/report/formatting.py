"""Numbers as people read them: one place, so that all formats and the terminal print the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from bench.spec import eps_text

#: What stands where there is no number.
NONE = "–"

#: Below this many images a rate is a smoke test, not evidence: its interval is 20 points wide.
SMOKE = 100


def missing(value: Any) -> bool:
    """Return whether a value of a table is absent: None, NaN or a null of pandas."""
    return bool(pd.isna(value))


def percent(share: float | None) -> str:
    """Return a share as a percentage without its sign, one decimal: `84.5`."""
    if share is None or missing(share):
        return NONE
    return f"{100 * share:.1f}"


def rate(share: float | None, low: float | None, high: float | None) -> str:
    """Return a share with its interval, in percent: `84.5 [78.8, 88.9]`."""
    if missing(share):
        return NONE
    return f"{percent(share)} [{percent(low)}, {percent(high)}]"


def points(difference: float | None, low: float | None, high: float | None) -> str:
    """Return a difference of shares in points, with its interval where it has one: `+22.5 [15.1, 29.2]`."""
    if difference is None or missing(difference):
        return NONE
    interval = "" if missing(low) else f" [{percent(low)}, {percent(high)}]"
    return f"{100 * difference:{'+' if difference else ''}.1f}{interval}"


def mean_and_spread(shares: pd.Series[float], sign: str = "") -> str:
    """Return the mean of shares and, of several, their standard deviation, in percent: `44.1 ± 1.2`.

    Args:
        shares: of repeated trainings; a single one has no spread.
        sign: `+` for differences, which are in points.
    """
    mean = 100 * float(shares.mean())
    if missing(mean):
        return NONE
    spread = f" ± {100 * float(shares.std(ddof=1)):.1f}" if len(shares) > 1 else ""
    return f"{mean:{sign}.1f}{spread}"


def amount(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, in tables that mix magnitudes."""
    if value is None or missing(value):
        return NONE
    if value == 0:
        return "0"
    if abs(value) in (float("inf"),):
        return "inf"
    if abs(value) < 1e-3 or abs(value) >= 1e5:
        return f"{value:.{max(digits - 2, 0)}e}"
    return f"{value:#.{digits}g}".rstrip(".")


def with_error(value: float | None, error: float | None) -> str:
    """Return a number with its standard error, two digits of it: `0.01432 ± 0.00021`."""
    if value is None or error is None or missing(value) or missing(error):
        return NONE
    if error == 0:
        return amount(value, 4)
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}"


def probability(p: float | None) -> str:
    """Return a p-value: two digits, or a bound where it is tiny."""
    if p is None or missing(p):
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


def count(value: float | None) -> str:
    """Return a count or a mean of counts: whole where it is whole."""
    if value is None or missing(value):
        return NONE
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def distance(norm: str, value: float | None) -> str:
    """Return the norm of a change: in l0 a count of pixels."""
    return count(value) if norm == "l0" else amount(value)


def milliseconds(seconds: float | None) -> str:
    """Return a duration in milliseconds, whole from 10 on, else with two digits."""
    if seconds is None or missing(seconds):
        return NONE
    return f"{1000 * seconds:.0f}" if seconds >= 0.01 else amount(1000 * seconds, 2)


def threat(norm: str, eps: float | str | None) -> str:
    """Return a threat as people type it: `linf 8/255`, or `l2 minimal` for no radius."""
    if isinstance(eps, str):
        return f"{norm} {eps}"
    return f"{norm} {eps_text(None if missing(eps) else eps)}"


def data(protocol: Mapping[str, Any]) -> str:
    """Return the data sets of a run."""
    return ", ".join(protocol["data"])


def ordered(protocol: Mapping[str, Any], images: str) -> str:
    """Return which images a run has, told how many: `first 200 images`, `200 images drawn with seed 3`."""
    kind, _, rest = str(protocol.get("order", "")).partition(" ")
    return {
        "": f"first {images}",
        "random": f"{images} drawn with seed {rest}",
        "balanced": f"{images} drawn with seed {rest}, the classes in turn",
        "list": f"first {images} in a list of {rest.partition(' ')[0]}",
    }[kind]


def parameters(given: Mapping[str, object]) -> str:
    """Return the parameters of an attack in one line: `random_start yes, steps 10`."""
    return ", ".join(f"{name} {parameter_value(value)}" for name, value in sorted(given.items()))


def parameter_value(value: object) -> str:
    """Return the value of a parameter: `yes` and `no` for flags, `none` where there is none."""
    flags = {True: "yes", False: "no"}
    return flags[value] if isinstance(value, bool) else "none" if value is None else str(value)


def loud(words: str) -> bool:
    """Return whether a text of a table says that something is wrong."""
    return words in ("FAIL", "failed", "missing") or words.startswith("INVALID")


def text(value: Any) -> str:
    """Return a text of a table, empty where it is absent."""
    return "" if missing(value) else str(value)


def join(*parts: str) -> str:
    """Return the parts that say something, separated by semicolons."""
    return "; ".join(part for part in parts if part)


def time_of(seconds: float) -> str:
    """Return an amount of time in its largest unit: `90 s`, `30 min`, `2 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:g} s"


def joined(parts: Sequence[str]) -> str:
    """Return parts as a list in words: `2 done, 1 failed and 1 missing`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def plural(number: int, noun: str) -> str:
    """Return `1 cell` or `3 cells`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def lettered(notes: Iterable[str]) -> dict[str, str]:
    """Return a letter for each note that says something: a, b, ..., z, aa, ab, ..."""
    distinct = dict.fromkeys(note for note in notes if note)
    return {note: _letter(turn) for turn, note in enumerate(distinct)}


def in_letters(letters: Mapping[str, str]) -> tuple[str, ...]:
    """Return the notes with their letters, such as `(a) why.`, as they stand below a table."""
    return tuple(f"({letter}) {note}." for note, letter in letters.items())


def _letter(turn: int) -> str:
    return (_letter(turn // 26 - 1) if turn >= 26 else "") + chr(ord("a") + turn % 26)


def moment(started: str) -> datetime:
    """Return the start of a run to the second, in UTC; a text without a zone is UTC already."""
    time = datetime.fromisoformat(started).replace(microsecond=0)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def date(started: str) -> str:
    """Return the start of a run in words: `20 November 2025, 22:48 UTC`."""
    time = moment(started)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"

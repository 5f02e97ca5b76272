"""Numbers as people read them: one place, so that the PDF, LaTeX and the terminal say the same."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from bench.spec import BLACK_BOX_SURFACE, eps_text

#: What stands where there is no number.
NONE = "–"

_MATHEMATICS = {
    "<": "<", ">": ">", "±": r"\pm", "²": "^2", "³": "^3", "×": r"\times", "≤": r"\le", "≥": r"\ge",
    "≠": r"\ne", "≈": r"\approx", "∞": r"\infty", "ℓ": r"\ell", "−": "-", "→": r"\to", "·": r"\cdot",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "η": r"\eta",
    "θ": r"\theta", "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "ν": r"\nu",
    "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi",
    "χ": r"\chi", "ω": r"\omega", "Δ": r"\Delta", "Σ": r"\Sigma", "Ω": r"\Omega",
}  # fmt: skip
_LATEX = (
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"|": r"\textbar{}", '"': r"\char34{}", "–": "--", "—": "---", "…": r"\dots{}"}
    | {"†": r"\dag{}", "‡": r"\ddag{}", "’": "'", "‘": "`", "“": "``", "”": "''"}
    | {"\n": " ", "\r": " ", "\t": " "}
    | {character: f"${sign}$" for character, sign in _MATHEMATICS.items()}
)

#: Combining signs that every font of LaTeX can set over or under a letter.
_ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030a\u030b\u030c\u0327"

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
    """Return a difference of shares in points, with its interval: `+22.5 [15.1, 29.2]`."""
    if difference is None or missing(difference):
        return NONE
    return f"{100 * difference:{'+' if difference else ''}.1f} [{percent(low)}, {percent(high)}]"


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


def parameters(given: Mapping[str, object]) -> str:
    """Return the words of an attack in one line: `random_start yes, steps 10`."""
    flags = {True: "yes", False: "no"}
    return ", ".join(
        f"{name} {flags[value] if isinstance(value, bool) else value}"
        for name, value in sorted(given.items())
    )


def loud(said: str) -> bool:
    """Return whether a text of a table says that something is wrong."""
    return said in ("FAIL", "failed", "missing") or said.startswith("INVALID")


def text(value: Any) -> str:
    """Return a text of a table, empty where it is absent."""
    return "" if missing(value) else str(value)


def join(*parts: str) -> str:
    """Return the parts that say something, separated by semicolons."""
    return "; ".join(part for part in parts if part)


def plural(number: int, noun: str) -> str:
    """Return `1 cell` or `3 cells`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def each(found: pd.DataFrame, say: Callable[..., str]) -> pd.Series[str]:
    """Return what is said of each row of a frame."""
    return pd.Series([say(row) for row in found.itertuples()], index=found.index, dtype=object)


def without_plain_surface(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without its surface column where every model is attacked as it is."""
    plain = set(table["surface"]) <= {"network", BLACK_BOX_SURFACE}
    return table.drop(columns="surface") if plain else table


def lettered(notes: Iterable[str]) -> dict[str, str]:
    """Return a letter for each note that says something: a, b, ..., z, aa, ab, ..."""
    said = dict.fromkeys(note for note in notes if note)
    return {note: _letter(turn) for turn, note in enumerate(said)}


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


def latex(said: str) -> str:
    """Return a text so that LaTeX prints it as it stands.

    A sign that pdfLaTeX has no font for is printed as its number there, and as it is by XeLaTeX and
    LuaLaTeX.
    """
    # Two hyphens would become a dash.
    return "-{}-".join("".join(map(_latex_sign, part)) for part in said.split("--"))


def _latex_sign(sign: str) -> str:
    if sign in _LATEX:
        return _LATEX[sign]
    if sign < "\x80":
        return sign if sign.isprintable() else ""
    letter, *accents = list(unicodedata.normalize("NFD", sign))
    if sign in "ßæœøåÆŒØÅ" or (letter < "\x80" and len(accents) == 1 and accents[0] in _ACCENTS):
        return sign
    return f"\\ifdefined\\Umathcode {sign}\\else[U+{ord(sign):04X}]\\fi{{}}"

"""Texts for LaTeX: escaped, so that they are printed as they stand, with norms as symbols."""

from __future__ import annotations

import re
import unicodedata

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


def latex(words: str) -> str:
    """Return a text so that LaTeX prints it as it stands.

    A sign that pdfLaTeX has no font for is printed as its number there, and as it is by XeLaTeX and
    LuaLaTeX.
    """
    # Two hyphens would become a dash.
    return "-{}-".join("".join(map(_latex_sign, part)) for part in words.split("--"))


def _latex_sign(sign: str) -> str:
    if sign in _LATEX:
        return _LATEX[sign]
    if sign < "\x80":
        return sign if sign.isprintable() else ""
    letter, *accents = list(unicodedata.normalize("NFD", sign))
    if sign in "ßæœøåÆŒØÅ" or (letter < "\x80" and len(accents) == 1 and accents[0] in _ACCENTS):
        return sign
    return f"\\ifdefined\\Umathcode {sign}\\else[U+{ord(sign):04X}]\\fi{{}}"


def threat(words: str) -> str:
    """Return a threat such as `linf 8/255` with its norm as a symbol."""
    norm, _, radius = words.partition(" ")
    known = symbol(norm)
    return latex(words) if known == latex(norm) else f"{known} {latex(radius)}".strip()


def symbol(norm: str) -> str:
    """Return a norm as a symbol; any other text as it stands."""
    if norm not in ("l0", "l1", "l2", "linf"):
        return latex(norm)
    index = r"\infty" if norm == "linf" else norm[1:]
    return f"$\\ell_{{{index}}}$"


def first(cell: str) -> str:
    """Return the first cell of a row so that LaTeX does not read it as an option of the row above."""
    return f"{{}}{cell}" if cell.startswith(("[", "*")) else cell


def label_text(label: str) -> str:
    """Return a label of the signs that LaTeX takes in one."""
    return re.sub(r"[^A-Za-z0-9:.+-]", "-", label)

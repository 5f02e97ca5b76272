"""A strict reader of our LaTeX tables: it refuses what a paper with booktabs and longtable would not set."""

from __future__ import annotations

import re

#: Letters beyond ASCII that the fonts of LaTeX have.
LETTERS = set("ßæœøåÆŒØÅ") | set("áàâäãéèêëíìîïñóòôöõúùûüýçšžčřěÁÀÂÄÉÈÊËÍÎÓÖÜÑÇŠŽ")
COMMANDS = {
    "begin", "end", "caption", "label", "toprule", "midrule", "bottomrule", "endhead", "endfirsthead",
    "cmidrule", "multicolumn", "emph", "textbf", "textsuperscript", "rlap", "shortstack", "parbox",
    "interval", "providecommand", "setlength", "tabcolsep", "centering", "small", "footnotesize",
    "scriptsize", "tiny", "raggedright", "par", "medskip", "smallskip", "strut", "allowbreak", "ell",
    "infty", "textbackslash", "textasciitilde", "textasciicircum", "textbar", "char", "dots", "dag",
    "ddag", "pm", "times", "le", "ge", "ne", "approx", "to", "cdot", "alpha", "beta", "gamma", "delta",
    "varepsilon", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau",
    "varphi", "chi", "omega", "Delta", "Sigma", "Omega",
}  # fmt: skip
ONLY_IN_MATHEMATICS = {
    "ell", "infty", "pm", "times", "le", "ge", "ne", "approx", "to", "cdot", "alpha", "beta", "gamma",
    "delta", "varepsilon", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma",
    "tau", "varphi", "chi", "omega", "Delta", "Sigma", "Omega",
}  # fmt: skip
#: What we write for a sign that no font of LaTeX has.
_FALLBACK = re.compile(r"\\ifdefined\\Umathcode .\\else\[U\+[0-9A-F]{4,6}\]\\fi\{\}")
_ESCAPED = re.compile(r"\\[&%$#_{}\\]")


def check(source: str) -> None:
    """Raise AssertionError where LaTeX would not set a file as it stands."""
    lines = [line for line in source.splitlines() if not line.startswith("%")]
    text = _FALLBACK.sub("", "\n".join(lines))
    strange = {sign for sign in text if sign > "\x7f" and sign not in LETTERS}
    assert not strange, f"signs that LaTeX has no font for: {sorted(strange)}"
    bare = _ESCAPED.sub("", text)
    assert not set("%#~^") & set(bare.replace("}~", "}").replace("$^2$", "").replace("$^3$", "")), (
        bare
    )
    _check_braces(bare)
    _check_commands(text, bare)
    _check_environments(bare)
    _check_rows(text)


def _check_braces(bare: str) -> None:
    depth = 0
    for sign in bare:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0, "a brace is closed that was not opened"
    assert depth == 0, "a brace is not closed"


def _check_commands(text: str, bare: str) -> None:
    unknown = set(re.findall(r"\\([A-Za-z]+)", bare)) - COMMANDS
    assert not unknown, f"unknown commands: {sorted(unknown)}"
    parts = re.sub(r"\\\\|\\\$", "", text).split("$")
    assert len(parts) % 2, "mathematics is not closed"
    outside = set(re.findall(r"\\([A-Za-z]+)", " ".join(parts[::2]))) & ONLY_IN_MATHEMATICS
    assert not outside, f"only in mathematics: {sorted(outside)}"


def _check_environments(bare: str) -> None:
    open_ones: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", bare):
        if what == "begin":
            open_ones.append(name)
        else:
            assert open_ones, f"{name} is ended and was not begun"
            assert open_ones.pop() == name, f"{name} is ended before what is in it"
    assert not open_ones, f"not ended: {open_ones}"


def _check_rows(text: str) -> None:
    """Check that every row of a table has as many cells as the table has columns."""
    for body in re.findall(
        r"\\begin\{(?:longtable|tabular)\}(.*?)\\end\{(?:longtable|tabular)\}", text, re.DOTALL
    ):
        first, _, rest = body.partition("\n")
        spec = re.sub(
            r"@\{\{?\}?\}|p\{[^}]*\}", lambda m: "l" if m[0][0] == "p" else "", first[1:-1]
        )
        width = len(spec)
        assert set(spec) <= set("lr"), first
        for row in rest.splitlines():
            if not row.rstrip("*").endswith(r"\\") or row.startswith("\\caption"):
                continue
            cells = re.sub(r"\\&", "", row).count("&") + 1
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row))
            assert cells + spans == width, f"{cells + spans} cells for {width} columns: {row}"

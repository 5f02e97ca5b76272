"""The headline for LaTeX: a `tabular` that fits a column, or the width of a page of two columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.report.blocks import Score, ThreatMatrix
from bench.report.render.latex_text import first, latex, symbol

#: Widths in points of one column and of the page of an article in two columns, 10 pt, US letter.
_COLUMN, _PAGE = 229.0, 469.0
#: No more than this for a character of `\\small` text, and what lies between two columns.
_CHARACTER, _BETWEEN = 5.0, 6.0
#: A longer name takes several lines.
_NAME = 24

_INTERVAL = r"\providecommand{\interval}[1]{}"
_SHOWN = r"\newcommand{\interval}[1]{ {\scriptsize [#1]}}"


def preamble() -> list[str]:
    """Return what begins the file of the headline."""
    return [
        "% Needs \\usepackage{booktabs}. The best figure of each column is bold. To have the 95 % intervals",
        f"% printed too, write {_SHOWN} before \\input.",
        _INTERVAL,
    ]


def matrix_lines(matrix: ThreatMatrix, label: str) -> list[str]:
    """Return a table with a row a model and a column a threat; too wide a one in parts, below each other."""
    longest = min(max(len(model) for model, _, _ in matrix.rows), _NAME)
    fixed = longest * _CHARACTER + _BETWEEN + _width("100.0")
    chunks = _chunks(matrix, _PAGE - fixed)
    widest = max(sum(_widths(matrix)[at] for at in chunk) for chunk in chunks) + fixed
    kind = "table" if widest <= _COLUMN else "table*"
    lines = [
        f"\\begin{{{kind}}}", "\\centering", "\\small", f"\\setlength{{\\tabcolsep}}{{{_BETWEEN / 2:g}pt}}",
        f"\\caption{{{latex(matrix.caption)}}}", f"\\label{{{label}}}",
    ]  # fmt: skip
    for turn, chunk in enumerate(chunks):
        lines += ["\\par\\medskip"] if turn else []
        lines += _tabular(matrix, chunk, longest)
    notes = [f"\\textsuperscript{{{mark}}}~{latex(note)}." for mark, note in matrix.notes]
    if notes:
        lines += ["\\par\\smallskip", f"{{\\footnotesize\\raggedright {' '.join(notes)}\\par}}"]
    return [*lines, f"\\end{{{kind}}}"]


def _width(text: str) -> float:
    return len(text) * _CHARACTER + _BETWEEN


def _widths(matrix: ThreatMatrix) -> list[float]:
    """Return the room of each threat's column, in points."""
    return [_width(max("100.0ab", eps, key=len)) for _, eps in matrix.threats]


def _chunks(matrix: ThreatMatrix, room: float) -> list[list[int]]:
    """Return the columns in as many tables, one under another, as the page asks for."""
    widths = _widths(matrix)
    chunks: list[list[int]] = [[]]
    for at, width in enumerate(widths):
        if chunks[-1] and sum(widths[other] for other in chunks[-1]) + width > room:
            chunks.append([])
        chunks[-1].append(at)
    return chunks


def _tabular(matrix: ThreatMatrix, columns: Sequence[int], longest: int) -> list[str]:
    threats = [matrix.threats[at] for at in columns]
    heads, rules, at = ["", "clean"], [], 3
    for norm in dict.fromkeys(norm for norm, _ in threats):
        wide = sum(other == norm for other, _ in threats)
        heads.append(f"\\multicolumn{{{wide}}}{{c}}{{{symbol(norm)}}}")
        rules.append(f"\\cmidrule(lr){{{at}-{at + wide - 1}}}")
        at += wide
    lines = [
        f"\\begin{{tabular}}{{@{{}}lr{'r' * len(columns)}@{{}}}}", "\\toprule",
        " & ".join(heads) + r" \\", " ".join(rules),
        " & ".join(["model", "", *(latex(eps) for _, eps in threats)]) + r" \\",
        "\\midrule",
    ]  # fmt: skip
    for model, clean, scores in matrix.rows:
        cells = [_name(model, longest), latex(clean), *(_score(scores[at]) for at in columns)]
        lines.append(" & ".join(cells) + r" \\")
    return [*lines, "\\bottomrule", "\\end{tabular}"]


def _score(score: Score | None) -> str:
    if score is None:
        return "--"
    raised = f"\\rlap{{\\textsuperscript{{{score.mark}}}}}" if score.mark else ""
    if not score.interval:
        return f"{latex(score.text)}{raised}"
    figure = f"\\textbf{{{score.text}}}" if score.best else score.text
    return f"{figure}\\interval{{{score.interval}}}{raised}"


def _name(name: str, longest: int) -> str:
    text = first(latex(name))
    if len(name) <= longest:
        return text
    pieces = [first(latex(piece)) for piece in re.findall(r"[^-_/ ]*[-_/ ]?", name) if piece]
    room, broken = longest * _CHARACTER, "\\allowbreak ".join(pieces)
    return f"\\parbox[t]{{{room:g}pt}}{{\\raggedright {broken}\\strut}}"

"""Tables for LaTeX: the headline for a paper, all others for an appendix.

The headline is a `tabular` that fits a column, or the width of a page of two columns; the others are
`longtable`, which only a page of one column can take. Names are data: every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import parity_block, table_block
from bench.report.sections.claims import stacked
from bench.report.tables import Measured, Table
from bench.store.results import Results

#: Widths in points of one column and of the page of an article in two columns, 10 pt, US letter.
_COLUMN, _PAGE = 229.0, 469.0
#: No more than this for a character of `\\small` text, and what lies between two columns.
_CHARACTER, _BETWEEN = 5.0, 6.0
#: A longer name takes several lines.
_NAME = 24

_INTERVAL = r"\providecommand{\interval}[1]{}"
_SHOWN = r"\newcommand{\interval}[1]{ {\scriptsize [#1]}}"


def headline_latex(
    results: Results, measured: Measured, called: Mapping[str, str] | None = None
) -> str:
    """Return the headline with a row a model and a column a threat, a table a data set.

    Args:
        results: of the run.
        measured: its figures.
        called: the models to show, and what each is called; None for all by their names.
    """
    found = measured.headline
    if called is None:
        called = {str(model): str(model) for model in found["model"]}
    data_of = {str(model["model"]): str(model["data"]) for model in results.models}
    shown = found[found["model"].isin(list(called))]
    parts = list(shown.groupby(shown["model"].map(data_of), sort=False))
    made = [
        provenance(results),
        "% Needs \\usepackage{booktabs}. The best figure of each column is bold. To have the 95 % intervals",
        f"% printed too, write {_SHOWN} before \\input.",
        _INTERVAL,
    ]
    for data, rows in parts:
        label = f"tab:{results.suite}-headline" + (f"-{data}" if len(parts) > 1 else "")
        made += _headline(results, rows, called, str(data), label_text(label))
    return "\n".join([*made, ""])


def _headline(
    results: Results, rows: pd.DataFrame, called: Mapping[str, str], data: str, label: str
) -> list[str]:
    marks = formatting.lettered(_said(row) for row in rows.to_dict("records"))
    columns = _columns(rows)
    names = {str(model): called[str(model)] for model in rows["model"]}
    longest = min(max(map(len, names.values())), _NAME)
    taken = longest * _CHARACTER + _BETWEEN + _width("100.0")
    chunks = _chunks(columns, _PAGE - taken)
    widest = max(sum(column.width for column in chunk) for chunk in chunks) + taken
    kind = "table" if widest <= _COLUMN else "table*"
    n = sorted(set(rows["n"]))
    counted = f"{n[0]} to {n[-1]}" if len(n) > 1 else str(n[0])
    caption = (
        "Clean accuracy and robust accuracy (%), the share of images that withstood every valid attack "
        f"of the threat, worst case per image, on {counted} images of {data} "
        f"({results.protocol['split']})."
    )
    lines = [
        f"\\begin{{{kind}}}", "\\centering", "\\small", f"\\setlength{{\\tabcolsep}}{{{_BETWEEN / 2:g}pt}}",
        f"\\caption{{{formatting.latex(caption)}}}", f"\\label{{{label}}}",
    ]  # fmt: skip
    for turn, chunk in enumerate(chunks):
        lines += ["\\par\\medskip"] if turn else []
        lines += _tabular(rows, names, chunk, marks, longest)
    notes = [
        f"\\textsuperscript{{{mark}}}~{formatting.latex(said)}." for said, mark in marks.items()
    ]
    if notes:
        lines += ["\\par\\smallskip", f"{{\\footnotesize\\raggedright {' '.join(notes)}\\par}}"]
    return [*lines, f"\\end{{{kind}}}"]


@dataclass(frozen=True, slots=True)
class _Column:
    """A threat of the headline: its norm, the text of its eps, and the room it takes, in points."""

    norm: str
    eps: str
    width: float


def _columns(rows: pd.DataFrame) -> list[_Column]:
    threats = rows[["norm", "eps_text", "eps"]].drop_duplicates(["norm", "eps_text"])
    order = {norm: turn for turn, norm in enumerate(dict.fromkeys(threats["norm"]))}
    threats = threats.sort_values("eps", kind="stable").sort_values(
        "norm", key=lambda norms: norms.map(order), kind="stable"
    )
    return [
        _Column(str(row["norm"]), str(row["eps_text"]), _width(max("100.0ab", row["eps_text"], key=len)))
        for row in threats.to_dict("records")
    ]  # fmt: skip


def _width(text: str) -> float:
    return len(text) * _CHARACTER + _BETWEEN


def _chunks(columns: Sequence[_Column], room: float) -> list[list[_Column]]:
    """Return the columns in as many tables, one under another, as the page asks for."""
    chunks: list[list[_Column]] = [[]]
    for column in columns:
        if chunks[-1] and sum(one.width for one in chunks[-1]) + column.width > room:
            chunks.append([])
        chunks[-1].append(column)
    return chunks


def _tabular(
    rows: pd.DataFrame,
    names: Mapping[str, str],
    columns: Sequence[_Column],
    marks: Mapping[str, str],
    longest: int,
) -> list[str]:
    heads, rules, at = ["", "clean"], [], 3
    for norm in dict.fromkeys(column.norm for column in columns):
        wide = sum(column.norm == norm for column in columns)
        heads.append(f"\\multicolumn{{{wide}}}{{c}}{{{symbol(norm)}}}")
        rules.append(f"\\cmidrule(lr){{{at}-{at + wide - 1}}}")
        at += wide
    figures = {(row["model"], row["norm"], row["eps_text"]): row for row in rows.to_dict("records")}
    clean = {str(row["model"]): row["clean_accuracy"] for row in rows.to_dict("records")}
    best = {
        column: _best([figures.get((name, column.norm, column.eps)) for name in names])
        for column in columns
    }
    lines = [
        f"\\begin{{tabular}}{{@{{}}lr{'r' * len(columns)}@{{}}}}", "\\toprule",
        " & ".join(heads) + r" \\", " ".join(rules),
        " & ".join(["model", "", *(formatting.latex(column.eps) for column in columns)]) + r" \\",
        "\\midrule",
    ]  # fmt: skip
    for model, name in names.items():
        said = [_name(name, longest), formatting.latex(formatting.percent(clean[model]))]
        for column in columns:
            row = figures.get((model, column.norm, column.eps))
            said.append(_figure(row, best[column], marks))
        lines.append(" & ".join(said) + r" \\")
    return [*lines, "\\bottomrule", "\\end{tabular}"]


def _best(rows: Sequence[Mapping[Any, Any] | None]) -> str:
    """Return the best figure of a column as it is printed; empty where all are alike."""
    known = [row["robust_accuracy"] for row in rows if row is not None]
    printed = [formatting.percent(one) for one in known if not formatting.missing(one)]
    return max(printed, key=float) if len(set(printed)) > 1 else ""


def _figure(row: Mapping[Any, Any] | None, best: str, marks: Mapping[str, str]) -> str:
    if row is None:
        return "--"
    mark = marks.get(_said(row))
    raised = f"\\rlap{{\\textsuperscript{{{mark}}}}}" if mark else ""
    if formatting.missing(row["robust_accuracy"]):
        return f"invalid{raised}"
    said = formatting.percent(row["robust_accuracy"])
    low, high = formatting.percent(row["low"]), formatting.percent(row["high"])
    bold = f"\\textbf{{{said}}}" if said == best else said
    return f"{bold}\\interval{{{low}, {high}}}{raised}"


def _said(row: Mapping[Any, Any]) -> str:
    """Return what is to be known of a figure, and how many attacks it lacks."""
    some = row["attacks"] < row["planned"]
    lacking = f"{row['attacks']} of {row['planned']} attacks count" if some else ""
    return formatting.join(formatting.text(row["flag"]).removeprefix("INVALID: "), lacking)


def _name(name: str, longest: int) -> str:
    said = first(formatting.latex(name))
    if len(name) <= longest:
        return said
    pieces = [
        first(formatting.latex(piece)) for piece in re.findall(r"[^-_/ ]*[-_/ ]?", name) if piece
    ]
    room, broken = longest * _CHARACTER, "\\allowbreak ".join(pieces)
    return f"\\parbox[t]{{{room:g}pt}}{{\\raggedright {broken}\\strut}}"


def appendix_latex(results: Results, table: Table) -> str:
    """Return a table as `longtable` with what all rows share said once below it."""
    if table.name == "parity":
        block = parity_block(table, f"{results.suite}-parity.csv")
    elif table.name == "comparisons":
        block = table_block(stacked(table.frame), table.caption, group="comparison")
    else:
        block = table_block(table.frame, table.caption)
    label = label_text(f"tab:{results.suite}-{table.name}")
    return "\n".join([*appendix_head(results), *(_longtable(block, label) if block else []), ""])


def appendix_head(results: Results) -> list[str]:
    """Return the comment above a table for an appendix."""
    needs = "% For an appendix in one column. Needs \\usepackage{booktabs,longtable}."
    return [provenance(results), needs]


def _longtable(block: Mapping[str, Any], label: str) -> list[str]:
    columns = block["columns"]
    titles = [column["title"] for column in columns]
    rows = [row for group in block["groups"] for row in group["rows"]]
    lengths = [
        max(len(part) for part in (*_parts(title), *(row[at] for row in rows)))
        for at, title in enumerate(titles)
    ]
    size, formats = _fitted(columns, lengths)
    caption = " ".join([block["caption"], *block["notes"]])
    head = " & ".join(_head(title) for title in titles) + r" \\"
    lines = [
        f"{{\\{size}\\setlength{{\\tabcolsep}}{{3pt}}",
        f"\\begin{{longtable}}{{{formats}}}",
        f"\\caption{{{formatting.latex(caption)}}} \\label{{{label}}} \\\\",
        "\\toprule", head, "\\midrule", "\\endfirsthead", "\\toprule", head, "\\midrule", "\\endhead",
    ]  # fmt: skip
    for group in block["groups"]:
        if group["title"]:
            title = formatting.latex(group["title"])
            lines.append(f"\\multicolumn{{{len(columns)}}}{{l}}{{\\emph{{{title}}}}} \\\\*")
        for row in group["rows"]:
            cells = [_cell(title, said) for title, said in zip(titles, row, strict=True)]
            lines.append(" & ".join([first(cells[0]), *cells[1:]]) + r" \\")
    return [*lines, "\\bottomrule", "\\end{longtable}}"]


#: Width in points of an article in one column; sizes of type, with the room a character takes in each.
_TEXT = 335.0  # of 345
_SIZES = (("footnotesize", 4.1), ("scriptsize", 3.6), ("tiny", 3.1))
#: No column of text that breaks its lines is narrower than so many characters, where it is so long.
_NARROWEST = 12


def _fitted(columns: Sequence[Mapping[str, str]], lengths: Sequence[int]) -> tuple[str, str]:
    """Return the size of type and the columns' formats at which a table is no wider than the text.

    As long as it is, the longest column of text breaks its lines; then the type gets smaller.
    """
    texts = [at for at, column in enumerate(columns) if column["align"] == "left"]
    longest = sorted((at for at in texts if lengths[at] >= _NARROWEST), key=lambda at: -lengths[at])
    for size, room in _SIZES:
        for count in range(len(longest) + 1):
            broken = longest[:count]
            rest = sum(length for at, length in enumerate(lengths) if at not in broken)
            left = _TEXT - 6 * len(columns) - room * rest
            if left >= room * _NARROWEST * count:
                return size, _formats(columns, {at: lengths[at] for at in broken}, left)
    return size, _formats(columns, dict.fromkeys(longest, 1), _NARROWEST * room * len(longest))


def _formats(columns: Sequence[Mapping[str, str]], broken: Mapping[int, int], left: float) -> str:
    # In proportion to the root of their lengths, so that the longest does not take all.
    shares = {at: length**0.5 for at, length in broken.items()}
    return "".join(
        f"p{{{left * shares[at] / sum(shares.values()):.0f}pt}}"
        if at in shares
        else ("r" if column["align"] == "right" else "l")
        for at, column in enumerate(columns)
    )


def _parts(title: str) -> tuple[str, ...]:
    """Return a head in one line, or in two: all but its last word, and this."""
    before, _, last = title.rpartition(" ")
    return (before, last) if before else (title,)


def _head(title: str) -> str:
    parts = [formatting.latex(part) for part in _parts(title)]
    stacked = r" \\ ".join(parts)
    return stacked if len(parts) == 1 else f"\\shortstack{{{stacked}}}"


def _cell(title: str, said: str) -> str:
    if title == "threat":
        return threat(said)
    return symbol(said) if title == "norm" else formatting.latex(said)


def threat(said: str) -> str:
    """Return a threat such as `linf 8/255` with its norm as a symbol."""
    norm, _, radius = said.partition(" ")
    known = symbol(norm)
    return (
        formatting.latex(said)
        if known == formatting.latex(norm)
        else f"{known} {formatting.latex(radius)}".strip()
    )


def symbol(norm: str) -> str:
    """Return a norm as a symbol; any other text as it stands."""
    if norm not in ("l0", "l1", "l2", "linf"):
        return formatting.latex(norm)
    index = r"\infty" if norm == "linf" else norm[1:]
    return f"$\\ell_{{{index}}}$"


def first(cell: str) -> str:
    """Return the first cell of a row so that LaTeX does not read it as an option of the row above."""
    return f"{{}}{cell}" if cell.startswith(("[", "*")) else cell


def label_text(label: str) -> str:
    """Return a label of the signs that LaTeX takes in one."""
    return re.sub(r"[^A-Za-z0-9:.+-]", "-", label)


def provenance(results: Results) -> str:
    """Return a comment that says what made a table, and from which run."""
    protocol = results.protocol
    version = protocol["versions"].get("crossfire", "of no known version")
    made = f"Made by `bench report --suite {results.suite} --format latex`, Crossfire {version}."
    of = f"{formatting.plural(protocol['images'], 'image')} of {formatting.data(protocol)}"
    run = (
        f"{results.title}; run of {formatting.date(results.started)}; {of} ({protocol['split']}), "
        f"seed {protocol['seed']}."
    )
    return "\n".join(f"% {' '.join(line.split())}" for line in (made, run))

"""The figures of a run as leaderboards take them: RobustBench's `model_info` files, rows of LaTeX and Markdown.

What a run does not know, such as a paper's authors, is left for the user to fill in; a figure that is not what
its field asks for is left out (RobustBench), or marked (rows).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from bench.attacks.catalogue import resolve
from bench.data.table import DATASETS
from bench.measure.threats import SAME_RADIUS, same_radius
from bench.report import formatting
from bench.report.render.latex_text import first, latex
from bench.report.render.latex_text import threat as latex_threat
from bench.spec import number
from bench.store.results import Results

#: What RobustBench asks for and no run knows. A paper's own figure is `reported`.
TO_FILL_IN = (
    "link", "name", "authors", "additional_data", "number_forward_passes", "venue", "architecture",
    "reported",
)  # fmt: skip

_HEADS = (
    "model", "threat", "clean (%)", "AutoAttack (%)", "worst case (%) [95 %]", "images", "verdict",
)  # fmt: skip

_STANDARD = "autoattack"


@dataclass(frozen=True, slots=True)
class _Board:
    """A leaderboard of RobustBench: what it calls the data set and the norm, its radius, and how many images it takes."""

    data: str
    threat: str
    eps: str
    images: int


#: By data set and norm; RobustBench's ImageNet images are a fixed list.
_BOARDS: Mapping[tuple[str, str], _Board] = {
    ("cifar10", "linf"): _Board("cifar10", "Linf", "8/255", 10_000),
    ("cifar10", "l2"): _Board("cifar10", "L2", "0.5", 10_000),
    ("cifar100", "linf"): _Board("cifar100", "Linf", "8/255", 10_000),
    ("imagenet", "linf"): _Board("imagenet", "Linf", "4/255", 5_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model under a threat, as a leaderboard lists it.

    Attributes:
        row: of the headline, with its verdict.
        data: the data set of the model.
        autoattack: the accuracy under AutoAttack with its published settings, as a share; None without it.
        whole: whether the images are the whole test set.
        against: why these figures are not what a leaderboard asks for, a line each; none where they are.
        random: whether the model's answers vary.
    """

    row: Any
    data: str
    autoattack: float | None
    whole: bool
    against: tuple[str, ...]
    random: bool

    @property
    def threat(self) -> str:
        """Return norm and radius in words."""
        return formatting.threat(self.row.norm, self.row.eps_text)

    @property
    def title(self) -> str:
        """Return model and threat in words."""
        return f"{self.row.model} at {self.threat}"


def entries(results: Results, headline: pd.DataFrame, rates: pd.DataFrame) -> list[Entry]:
    """Return the entries of a run: one for each row of its headline, in its order.

    Args:
        results: of the run.
        headline: with verdicts, of `bench.trust.headline_trust.with_trust`.
        rates: of `bench.measure.attack_rates.attack_rates`.
    """
    models = {str(model["model"]): model for model in results.models}
    return [
        _entry(row, models[str(row.model)], results, rates)
        for row in headline.itertuples(index=False)
    ]


def _entry(row: Any, model: Mapping[str, Any], results: Results, rates: pd.DataFrame) -> Entry:
    data = str(model["data"])
    whole, why_part = _images(row, data, str(results.protocol["split"]))
    autoattack, why_none = _autoattack(row, results.cells, rates)
    against = [why_part, why_none]
    if row.trust != "believable":
        against.append(formatting.join(f"the verdict is {row.trust}", str(row.reasons)))
    return Entry(
        row=row, data=data, autoattack=autoattack, whole=whole, against=tuple(filter(None, against)),
        random=bool(model.get("random")),
    )  # fmt: skip


def _images(row: Any, data: str, split: str) -> tuple[bool, str]:
    """Return whether a figure is of the whole test set, and if not, of what."""
    board, known = _BOARDS.get((_plain(data), row.norm)), DATASETS.get(data)
    whole = board.images if board else known.splits.get(split) if known else None
    if whole is None:
        return False, f"measured on {row.n} images; how many {data} has is not known here"
    if split == "test" and row.n == whole:
        return True, ""
    if split != "test":
        return False, f"measured on split {split}"
    return False, f"measured on {row.n} of {whole} test images"


def _plain(data: str) -> str:
    """Return the name of a data set without the place and the settings of an address."""
    return data.partition(":")[0]


def _autoattack(row: Any, cells: pd.DataFrame, rates: pd.DataFrame) -> tuple[float | None, str]:
    """Return the accuracy under AutoAttack as published, the lowest of all surfaces; else why there is none."""
    of_model = (cells["model"] == row.model) & (cells["norm"] == row.norm)
    at = cells[of_model & (cells["attack"] == _STANDARD) & same_radius(cells["radius"], row.eps)]
    if at.empty:
        return None, f"no {_STANDARD} among its attacks"
    published = dict(resolve(_STANDARD, row.norm, row.eps_text, {}).parameters)
    as_published = at[[parameters == published for parameters in at["parameters"]]]
    if as_published.empty:
        return None, f"its {_STANDARD} has other settings than the published ones"
    found = rates[rates["cell"].isin(as_published["cell"])]
    counting = found[(found["status"] == "done") & (found["flag"] == "") & (found["n"] == row.n)]
    if counting.empty:
        reasons = formatting.join(*dict.fromkeys(found["flag"]))
        return None, f"its {_STANDARD} has no result that counts{reasons and ': '}{reasons}"
    return float(counting["accuracy"].min()), ""


def unlike_robustbench(entry: Entry) -> list[str]:
    """Return why RobustBench would not take an entry as it is, a line each; none where it would."""
    board = _BOARDS.get((_plain(entry.data), entry.row.norm))
    found = list(entry.against)
    if board is None:
        found.append(f"RobustBench has no leaderboard of {entry.data} in {entry.row.norm}")
    elif not isclose(number(board.eps), entry.row.eps, rel_tol=SAME_RADIUS):
        found.append(f"RobustBench's {board.threat} leaderboard of {board.data} is at {board.eps}")
    if entry.random:
        found.append("its answers are random; RobustBench takes deterministic models alone")
    return found


def model_info(entry: Entry, version: str) -> dict[str, Any]:
    """Return the fields of RobustBench's `model_info/DATA/THREAT/NAME.json`; None in those left to fill in.

    Figures are percentages with two decimals, as text. They are None where the run is not of the whole test
    set, or has none. A worst case below AutoAttack's accuracy is `external`, with its attack as the footnote.

    Args:
        entry: of a run.
        version: of Crossfire.
    """
    row = entry.row
    sound = entry.whole and not formatting.missing(row.robust_accuracy)
    clean = _percent(row.clean_accuracy) if entry.whole else None
    under = _percent(entry.autoattack) if sound and entry.autoattack is not None else None
    worst = _percent(row.robust_accuracy) if sound else None
    info: dict[str, Any] = {
        "link": None, "name": None, "authors": None, "additional_data": None,
        "number_forward_passes": None, "dataset": _plain(entry.data), "venue": None,
        "architecture": None, "eps": row.eps_text, "clean_acc": clean, "reported": None,
        "autoattack_acc": under,
    }  # fmt: skip
    if worst is not None and under is not None and float(worst) < float(under):
        how = f"{worst}% robust accuracy is the worst case of the attacks of Crossfire {version}; strongest: {row.worst}"
        info |= {"external": worst, "footnote": how}
    return info | {"unreliable": _UNRELIABLE[row.trust]}


#: RobustBench's word on whether an evaluation may overstate robustness; nothing where nobody looked.
_UNRELIABLE = {"believable": False, "doubtful": True, "invalid": True, "not checked": None}


def model_info_path(entry: Entry) -> PurePosixPath:
    """Return where RobustBench keeps the file of an entry, relative to its repository; its name is the model's."""
    board = _BOARDS.get((_plain(entry.data), entry.row.norm))
    threat = board.threat if board else entry.row.norm
    name = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in entry.row.model)
    return PurePosixPath("model_info", _plain(entry.data), threat, f"{name}.json")


def model_info_text(info: Mapping[str, Any]) -> str:
    """Return the text of such a file."""
    return json.dumps(info, indent=2, ensure_ascii=False) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _cells(entry: Entry) -> tuple[str, ...]:
    row = entry.row
    under = formatting.NONE if entry.autoattack is None else _percent(entry.autoattack)
    worst = "INVALID"
    if not formatting.missing(row.robust_accuracy):
        worst = f"{_percent(row.robust_accuracy)} [{_percent(row.low)}, {_percent(row.high)}]"
    clean = (
        formatting.NONE if formatting.missing(row.clean_accuracy) else _percent(row.clean_accuracy)
    )
    return (row.model, entry.threat, clean, under, worst, f"{row.n}", row.trust)


def _letters(listed: Sequence[Entry]) -> tuple[dict[str, str], list[str]]:
    """Return the letter of each note on some entries, and by entry its letters, joined."""
    letters = formatting.lettered(note for entry in listed for note in entry.against)
    return letters, [", ".join(letters[note] for note in entry.against) for entry in listed]


def markdown(listed: Sequence[Entry]) -> str:
    """Return a table of Markdown with a row an entry; what speaks against one stands below, by letters."""
    letters, marks = _letters(listed)
    lines = [_line(_HEADS), _line("---" for _ in _HEADS)]
    for entry, mark in zip(listed, marks, strict=True):
        model, *others = _cells(entry)
        marked = f"<sup>{mark}</sup>" if mark else ""
        lines.append(_line((f"{_plain_markdown(model)}{marked}", *others)))
    notes = [f"<sup>{letter}</sup> {_plain_markdown(note)}." for note, letter in letters.items()]
    return "\n".join(lines + ([""] if notes else []) + [f"{note}<br>" for note in notes]) + "\n"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _plain_markdown(text: str) -> str:
    """Return a text in which no sign is read as Markdown."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]|<>" else sign for sign in text)


def latex_rows(listed: Sequence[Entry]) -> str:
    """Return rows of a `tabular` of seven columns, an entry each; what speaks against one stands below, by letters."""
    letters, marks = _letters(listed)
    lines = [
        f"% A tabular of {len(_HEADS)} columns: {' & '.join(_HEADS)}".replace("(%)", "(percent)")
    ]
    for entry, mark in zip(listed, marks, strict=True):
        model, threat, *others = _cells(entry)
        marked = f"\\textsuperscript{{{mark}}}" if mark else ""
        cells = (first(latex(model)) + marked, latex_threat(threat), *map(latex, others))
        lines.append(" & ".join(cells) + r" \\")
    lines += [
        f"\\multicolumn{{{len(_HEADS)}}}{{l}}{{\\footnotesize\\textsuperscript{{{letter}}} {latex(note)}.}} \\\\"
        for note, letter in letters.items()
    ]
    return "\n".join(lines) + "\n"

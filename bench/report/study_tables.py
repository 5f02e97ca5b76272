"""The tables of a study: the published ones with ours beside them, and short ones of many cells."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from bench.measure.published import CLEAN
from bench.measure.statistics import wilson
from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE, unseen_noise
from bench.report import formatting
from bench.report.latex import first
from bench.report.sections.radius import RADII, radius_table
from bench.report.study_kind import Entry, PublishedTable, Row, Study
from bench.report.tables import Measured, Table, names
from bench.store.results import Results

#: After a figure of ours of which some attacks have no result: it may be too high.
PARTIAL = "†"
#: After that of a random model whose expected gradient no attack climbed (`unseen_noise`): likewise.
BY_ONE_DRAW = "‡"


def published_tables(comparison: pd.DataFrame, study: Study) -> list[PublishedTable]:
    """Return the published tables with ours in every cell.

    Args:
        comparison: of `bench.measure.published.comparison`.
        study: how things are called.
    """
    return [
        _published_table(str(number), rows, study)
        for number, rows in comparison.groupby("table", sort=False)
    ]


def _published_table(number: str, rows: pd.DataFrame, study: Study) -> PublishedTable:
    data = list(dict.fromkeys(rows["data"]))
    noted = [note for note in dict.fromkeys(rows["note"]) if note]
    letters = {note: chr(ord("a") + turn) for turn, note in enumerate(noted)}
    called = _telling({str(model): study.called(str(model)) for model in rows["model"].unique()})
    groups = []
    for (printed, eps), block in rows.groupby(["eps_published", "eps"], sort=False):
        found = {
            (one["model"], one["attack"], one["data"]): figure_entry(one, letters)
            for one in block.to_dict("records")
        }
        lines = dict.fromkeys((model, attack) for model, attack, _ in found)
        absent = Entry(published=formatting.NONE, ours=formatting.NONE, interval="")
        made = tuple(
            Row(
                model=called[model],
                attack=formatting.NONE if attack == CLEAN else attack.upper(),
                entries=tuple(found.get((model, attack, one), absent) for one in data),
            )
            for model, attack in lines
        )
        clean = set(block["attack"]) == {CLEAN}
        groups.append(("clean images" if clean else _radius(str(printed), str(eps)), made))
    notes = [f"({letter}) {note}." for note, letter in letters.items()]
    notes += mark_notes("".join(_marks(one) for one in rows.to_dict("records")))
    return PublishedTable(
        number=number,
        caption=study.captions.get(number, "As published, and ours"),
        data=tuple(study.name(one) for one in data),
        groups=tuple(groups),
        notes=tuple(notes),
    )


def mark_notes(marks: str) -> list[str]:
    """Return what the marks in some texts mean, a line each."""
    meanings = {
        PARTIAL: f"{PARTIAL} some attacks have no result that counts: ours may be too high.",
        BY_ONE_DRAW: f"{BY_ONE_DRAW} {ONE_DRAW}, or without noise: ours may be too high.",
    }
    return [said for mark, said in meanings.items() if mark in marks]


def _telling(called: dict[str, str]) -> dict[str, str]:
    """Return the names without the parts that all of them have, which the caption says."""
    parts = {model: name.split(", ") for model, name in called.items()}
    shared = set.intersection(*map(set, parts.values()))
    if any(shared.issuperset(of_it) for of_it in parts.values()):
        return called
    return {
        model: ", ".join(part for part in of_it if part not in shared)
        for model, of_it in parts.items()
    }


def _radius(printed: str, eps: str) -> str:
    if printed == eps:
        return f"ε = {eps}"
    free = ", every pixel free" if eps == "1" else ""
    return f"ε = {printed} as printed, read as {eps}{free}"


def figure_entry(one: Mapping[Hashable, Any], letters: Mapping[str, str]) -> Entry:
    """Return a published accuracy with ours, from a row of `bench.measure.published.comparison`.

    Args:
        one: the row.
        letters: of the notes.
    """
    note = f" ({letters[str(one['note'])]})" if one["note"] else ""
    printed = formatting.NONE if formatting.missing(one["published"]) else f"{one['published']:.2f}"
    if formatting.missing(one["ours"]):
        return Entry(published=printed + note, ours=formatting.NONE, interval="")
    return Entry(
        published=printed + note,
        ours=f"{one['ours']:.1f}",
        interval=f"[{one['low']:.1f}, {one['high']:.1f}]{_marks(one)}",
    )


def _marks(one: Mapping[Hashable, Any]) -> str:
    """Return the marks of a figure of ours that may be too high."""
    if formatting.missing(one["ours"]):
        return ""
    prefix = "ours on "
    climbed = {
        str(name).removeprefix(prefix)
        for name, figure in one.items()
        if str(name).startswith(prefix) and not formatting.missing(figure)
    }
    partial = PARTIAL if one["cells"] < one["planned"] else ""
    return partial + (BY_ONE_DRAW if unseen_noise(climbed) else "")


def published_latex(table: PublishedTable, label: str) -> str:
    """Return a published table as `longtable` with `booktabs` rules, every text escaped."""
    if table.stacked:
        return _stacked_latex(table, label)
    width = 2 + 3 * len(table.data)
    heads = [f"\\multicolumn{{3}}{{c}}{{{formatting.latex(one)}}}" for one in table.data]
    rules = [f"\\cmidrule(lr){{{3 * at + 3}-{3 * at + 5}}}" for at in range(len(table.data))]
    caption = " ".join([f"{table.caption}.", *table.notes])
    head = formatting.latex(table.interval)
    lines = [
        f"\\begin{{longtable}}{{ll{'rrl' * len(table.data)}}}",
        f"\\caption{{{formatting.latex(caption)}}} \\label{{{label}}} \\\\",
        "\\toprule",
        " & ".join(["", "", *heads]) + r" \\",
        " ".join(rules),
        " & ".join(["model", "attack", *["published", "ours", head] * len(table.data)]) + r" \\",
        "\\midrule",
        "\\endhead",
    ]
    for title, rows in table.groups:
        lines.append(f"\\multicolumn{{{width}}}{{l}}{{\\emph{{{formatting.latex(title)}}}}} \\\\")
        for row in rows:
            texts = [row.model, row.attack]
            for entry in row.entries:
                texts += [entry.published, entry.ours, entry.interval]
            lines.append(_latex_line(*texts))
    return "\n".join([*lines, "\\bottomrule", "\\end{longtable}", ""])


def _stacked_latex(table: PublishedTable, label: str) -> str:
    """Return a table with the published figure, ours and its interval one below the other."""
    caption = " ".join([f"{table.caption}.", *table.notes])
    lines = [
        f"\\begin{{longtable}}{{ll{'r' * len(table.data)}}}",
        f"\\caption{{{formatting.latex(caption)}}} \\label{{{label}}} \\\\",
        "\\toprule",
        _latex_line("model", "", *table.data),
        "\\midrule",
        "\\endhead",
    ]
    for row in (row for _, rows in table.groups for row in rows):
        printed = [entry.published for entry in row.entries]
        if set(printed) != {formatting.NONE}:
            lines.append(_latex_line(row.model, "published", *printed))
            lines.append(_latex_line("", "ours", *(entry.ours for entry in row.entries)))
        else:
            lines.append(_latex_line(row.model, "ours", *(entry.ours for entry in row.entries)))
        lines.append(_latex_line("", table.interval, *(entry.interval for entry in row.entries)))
    return "\n".join([*lines, "\\bottomrule", "\\end{longtable}", ""])


def _latex_line(*texts: str) -> str:
    return (
        " & ".join([first(formatting.latex(texts[0])), *map(formatting.latex, texts[1:])]) + r" \\"
    )


def short_headline(results: Results, measured: Measured, study: Study) -> Table:
    """Return a row a model of those shown: clean accuracy, and the worst case at each radius."""
    found = measured.headline
    shown = [study.shown(str(model).partition("/")[2]) for model in found["model"]]
    kept = found[pd.Series(shown, index=found.index, dtype=bool)]
    threats = list(dict.fromkeys(zip(kept["norm"], kept["eps_text"], strict=True)))
    one_norm = len({norm for norm, _ in threats}) == 1
    rows = []
    for model, mine in kept.groupby("model", sort=False):
        data, _, name = str(model).partition("/")
        at = {(one["norm"], one["eps_text"]): one for one in mine.to_dict("records")}
        first = next(iter(at.values()))
        row = {"data": study.name(data), "model": study.called(name), "clean (%)": _clean(first)}
        for norm, eps in threats:
            title = f"ε = {eps} (%)" if one_norm else f"{norm} {eps} (%)"
            row[title] = _robust(at[norm, eps]) if (norm, eps) in at else formatting.NONE
        rows.append(row)
    return Table(
        name="headline",
        caption="Clean accuracy, and the share of images that withstood every attack within the radius, "
        "on whatever surface and by whatever toolkit (worst case per image); 95 % Wilson intervals.",
        frame=pd.DataFrame(rows),
    )


def _clean(row: Mapping[Hashable, Any]) -> str:
    if formatting.missing(row["clean_accuracy"]):
        return formatting.NONE
    low, high = wilson(round(row["clean_accuracy"] * row["n"]), int(row["n"]))
    return formatting.rate(row["clean_accuracy"], low, high)


def _robust(row: Mapping[Hashable, Any]) -> str:
    if formatting.missing(row["robust_accuracy"]):
        return "INVALID"
    partial = PARTIAL if row["attacks"] < row["planned"] else ""
    flag = formatting.text(row["flag"])
    draw = BY_ONE_DRAW if ONE_DRAW in flag or WITHOUT_NOISE in flag else ""
    return formatting.rate(row["robust_accuracy"], row["low"], row["high"]) + partial + draw


def agreement_counts(measured: Measured) -> Table:
    """Return a row an attack and pair of toolkits: how many comparisons came out as expected."""
    found = measured.parity.fillna({"expected": formatting.NONE})
    rows = []
    alike = ["attack", "norm", "eps_text", "left", "right", "expected"]
    for (attack, norm, eps, left, right, expected), pairs in found.groupby(alike, sort=False):
        passed = pairs["passed"]
        rows.append({
            "attack": attack,
            "threat": formatting.threat(str(norm), str(eps)),
            "toolkits": f"{left} – {right}",
            "expected": expected,
            "comparisons": formatting.count(len(pairs)),
            "as expected": formatting.count(int(passed.fillna(False).sum())),
            "FAIL": formatting.count(int((~passed.fillna(True)).sum())),
            "not judged": formatting.count(int(passed.isna().sum())),
            "images that differ": formatting.count(int(pairs["discordant"].sum())),
            "least equal (%)": formatting.percent(pairs["equal_verdicts"].min()),
        })  # fmt: skip
    return Table(
        name="agreement",
        caption="Agreement of the toolkits: comparisons of two of them, one a model and surface, how "
        "many came out as expected, on how many images the verdicts differ in all, and the lowest "
        "share of equal verdicts of any comparison.",
        frame=pd.DataFrame(rows),
    )


def surrogate_table(results: Results, study: Study) -> Table:
    """Return a row a vote whose surfaces were climbed: how often its soft vote says what it says."""
    elsewhere = results.cells.dropna(subset=["climbed"])
    judges = set(elsewhere["model"]) - set(elsewhere["climbed"])
    rows = []
    for model in results.models:
        known = model["surrogate"]
        if known is None or model["model"] in judges:
            continue
        data, _, name = model["model"].partition("/")
        share, untied = known["soft_knn_agreement"], known["untied"]
        low, high = wilson(round((share or 0) * untied), untied)
        rows.append({
            "data": study.name(data),
            "vote": study.called(name),
            "k": formatting.count(known["k"]),
            "distance": known["distance"],
            "temperature": formatting.amount(known["temperature"]),
            "left out (%)": formatting.percent(known["left_out_agreement"]),
            "clean test images (%)": formatting.rate(share, low, high),
            "untied": f"{untied} of {known['images']}",
        })  # fmt: skip
    return Table(
        name="surrogates",
        caption="How often the differentiable vote (soft-knn) says what the real vote says, where that "
        "is not tied: on stored images that each voted among all others, by which the largest "
        "temperature with 99 % is chosen, and on the clean test images.",
        frame=pd.DataFrame(rows),
    )


def short_cost(results: Results, measured: Measured, study: Study) -> Table:
    """Return a row a data set and surface: images attacked, passes and time for each, minutes in all."""
    # What was climbed once for several votes is counted once.
    made = results.cells.loc[
        results.cells["climbed"].isna() & (results.cells["status"] == "done"), "cell"
    ]
    found = measured.attacks[measured.attacks["cell"].isin(made)]
    rows = []
    for (one, surface), mine in found.groupby([_data(found), "surface"], sort=False):
        weights = mine["attacked"].astype("float64")
        total = float(weights.sum())
        means = {
            name: float((mine[name].fillna(0) * weights).sum()) / total if total else None
            for name in ("forwards", "backwards", "seconds")
        }
        rows.append({
            "data": study.name(str(one)),
            "surface": surface,
            "cells": formatting.count(len(mine)),
            "images": formatting.count(total),
            "forwards": formatting.count(means["forwards"]),
            "backwards": formatting.count(means["backwards"]),
            "ms": formatting.milliseconds(means["seconds"]),
            "minutes": f"{(means['seconds'] or 0) * total / 60:.1f}",
        })  # fmt: skip
    return Table(
        name="cost",
        caption="Cost: images attacked, passes through the model and milliseconds for each of them, "
        "and minutes in all.",
        frame=pd.DataFrame(rows),
    )


def _data(cells: pd.DataFrame) -> pd.Series[str]:
    """Return the data set of each row, which the model's name begins with."""
    said = [str(model).partition("/")[0] for model in cells["model"]]
    return pd.Series(said, index=cells.index, dtype="str", name="data")


def short_failures(results: Results) -> pd.DataFrame:
    """Return a row a kind of cell without a result: how many there are, and why they failed."""
    cells = results.cells[results.cells["status"] != "done"]
    kinds = pd.DataFrame(
        {
            "data": _data(cells),
            "attack": cells["cell"].map(names(results)),
            "toolkit": cells["toolkit"],
            "surface": cells["surface"],
            "status": cells["status"],
            "error": [formatting.text(error).partition("\n")[0] for error in cells["error"]],
        }
    )
    counted = kinds.groupby(list(kinds.columns), sort=False).size().rename("cells").reset_index()
    return counted[[*kinds.columns[:-1], "cells", "error"]].astype({"cells": "str"})


def critical_table(results: Results, measured: Measured, study: Study) -> Table:
    """Return a row a model and attack that measures radii: its critical eps, or why there is none."""
    table = radius_table(measured.radii, names(results))
    parts = [str(model).partition("/") for model in table["model"]]
    table["model"] = [study.called(name) for _, _, name in parts]
    table.insert(0, "data", [study.name(data) for data, _, _ in parts])
    return Table(name="radius", caption=RADII, frame=table)

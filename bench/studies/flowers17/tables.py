"""The study's tables in the published shape, ours beside every figure of which there is one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.differences import in_points
from bench.report import formatting
from bench.report.blocks import Column, Entry, PublishedTable, Row, Say, Table, tabulate
from bench.report.labels import data_name
from bench.studies.flowers17.beside import BY_TEST_IMAGES, HELD_OUT, LINEAR
from bench.studies.flowers17.names import (
    CLASSIFIERS,
    TRUNKS,
    called,
    on_features,
    setting_name,
    trunk_name,
    trunk_with_data,
    tuned,
)
from bench.studies.flowers17.networks import network_table, trunk_table

_Figure = Mapping[Hashable, Any]

_CAPTIONS = {
    "2": "Loss (mean cross-entropy, nats) and accuracy on training and on held-out images at the epoch of least "
    "loss on the latter, without augmentation",
    "3": "Accuracy with all augmentations and without",
    "5": "Accuracy of the members, trained with all augmentations, and of ensembles of them",
    "6": "How much each member counts for the random forest of stacking, over all classes",
    "8": "Accuracy of classifiers on the features of a frozen trunk",
    "9": "Accuracy of a new head on a trunk: phase A with the trunk frozen, phase B with part of it trained too",
    "10": "The best model of each part of the study",
    "3.1": "Success rates that the document quotes from others, and ours of the same attack here",
}
_HEADS = {
    "train_loss": "training, loss", "train_accuracy": "training, accuracy (%)",
    "validation_loss": "held-out, loss", "accuracy": "accuracy, (%)",
}  # fmt: skip
_ABSENT = Entry(published=formatting.NONE, ours=formatting.NONE, interval="")


def tables(beside: pd.DataFrame) -> Sequence[PublishedTable | Table]:
    """Return the tables of the study in their order.

    Args:
        beside: of `bench.studies.flowers17.beside.beside`, with causes.
    """
    return [
        _TABLES[str(number)](str(number), rows)
        for number, rows in beside.groupby("table", sort=False)
    ]


# ---- networks, several figures of each ----


def _networks(number: str, rows: pd.DataFrame) -> PublishedTable:
    """Return a table with published figure, ours and its interval one below the other."""
    letters = formatting.lettered(rows["cause"])
    lines: dict[tuple[str, str], dict[str, Entry]] = {}
    for row in rows.to_dict("records"):
        key = called(str(row["our_model"]).partition("/")[2]), str(row["further"])
        printed = str(row["printed"]) or formatting.NONE
        lines.setdefault(key, {})[_HEADS[str(row["metric"])]] = Entry(
            published=printed, ours=_ours(row) + _letter(row, letters), interval=_interval(row)
        )
    heads = list(dict.fromkeys(head for entries in lines.values() for head in entries))
    made = tuple(
        Row(
            model=f"  {further}" if further else network,
            attack="",
            entries=tuple(entries.get(head, _ABSENT) for head in heads),
        )
        for (network, further), entries in lines.items()
    )
    return PublishedTable(
        number=number, caption=_CAPTIONS[number], data=tuple(heads), groups=(("", made),),
        notes=(*_counts(rows), *formatting.in_letters(letters)), interval="95 %", stacked=True,
        subject="network",
    )  # fmt: skip


# ---- a column a trunk ----


def _by_trunk(number: str, rows: pd.DataFrame) -> Table:
    """Return a row a classifier, or a head in one of its phases, and columns a trunk."""
    name_row, subject = {"8": (_classifier, "classifier"), "9": (_phase, "head")}[number]
    letters = formatting.lettered([*rows["note"], *rows["cause"]])
    lines: dict[str, dict[str, str]] = {}
    for row in rows.to_dict("records"):
        if str(row["further"]).endswith(BY_TEST_IMAGES):
            continue
        title, trunk = name_row(row)
        line = lines.setdefault(title, {})
        if row["printed"]:
            note = f" ({letters[str(row['note'])]})" if row["note"] else ""
            line[f"{trunk_name(trunk)}, published (%)"] = f"{row['printed']}{note}"
        if not formatting.missing(row["ours"]):
            ours = f"{_ours(row)} {_interval(row)}".strip() + _letter(row, letters)
            line[f"{_heads_ours(trunk)} (%)"] = ours
    titles = _in_order(dict.fromkeys(title for line in lines.values() for title in line))
    frame = pd.DataFrame([
        {subject: row, **{title: line.get(title, formatting.NONE) for title in titles}}
        for row, line in lines.items()
    ])  # fmt: skip
    return Table(
        name=f"table-{number}",
        caption=f"Published table {number}. {_CAPTIONS[number]}. Columns name the trunk; ours also what it was "
        "trained on, with a 95 % interval.",
        columns=(Column(subject, "subject"), *(Column(title, "rate") for title in titles)),
        frame=frame, group="", notes=(*_counts(rows), *formatting.in_letters(letters)),
    )  # fmt: skip


def _classifier(row: _Figure) -> tuple[str, str]:
    """Return the classifier that a figure is of, and its trunk as ours are called."""
    made = on_features(str(row["our_model"]).partition("/")[2])
    assert made is not None
    top = str(row["model"]).partition("+")[2]
    linear = f", {LINEAR}" if str(row["further"]).endswith(LINEAR) else ""
    return CLASSIFIERS[top][1] + linear, made.trunk


def _phase(row: _Figure) -> tuple[str, str]:
    """Return the head and the phase that a figure is of, and its trunk as ours are called."""
    made = tuned(str(row["our_model"]).partition("/")[2])
    assert made is not None
    phase = str(row["model"]).partition("-phase-")[2][0].upper()
    return f"{setting_name(made.setting)}: phase {phase}", made.trunk


def _heads_ours(trunk: str) -> str:
    return f"ours: {trunk_with_data(trunk)}"


def _in_order(titles: Iterable[str]) -> list[str]:
    """Return the columns: published trunks in their order, ours of each beside it, then other trunks."""
    order = [
        title
        for own, printed in TRUNKS.values()
        for title in (f"{printed}, published (%)", f"{_heads_ours(own)} (%)")
    ]
    return sorted(titles, key=lambda title: order.index(title) if title in order else len(order))


# ---- what an entry says ----


def _ours(row: _Figure) -> str:
    """Return our figure, of several trainings with their standard deviation."""
    if formatting.missing(row["ours"]):
        return formatting.NONE
    several = not formatting.missing(row["spread"])
    spread = f" ± {_number(row['spread'], row)}" if several else ""
    return _number(row["ours"], row) + spread


def _letter(row: _Figure, letters: Mapping[str, str]) -> str:
    """Return the letter of the cause of a difference, in brackets."""
    return f" ({letters[str(row['cause'])]})" if row["cause"] else ""


def _interval(row: _Figure) -> str:
    if formatting.missing(row["ours"]) or formatting.missing(row["low"]):
        return ""
    return f"[{_number(row['low'], row)}, {_number(row['high'], row)}]"


def _number(value: float, row: _Figure) -> str:
    return f"{value:.1f}" if in_points(str(row["metric"])) else f"{value:.3f}"


def _counts(rows: pd.DataFrame) -> list[str]:
    """Return of how many images and trainings ours are."""
    known = rows[rows["ours"].notna()]
    images, trainings = (
        known.loc[known["n"] > 0, "n"],
        known.loc[known["trainings"] > 0, "trainings"],
    )
    said = [f"Accuracy of ours: on {_range(images)} test images."] if len(images) else []
    if len(trainings) and trainings.max() > 1:
        said.append(
            f"Ours: {_range(trainings)} trainings of each; of several the mean ± their standard deviation."
        )
    return said


def _range(counts: pd.Series[int]) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


# ---- tables with one figure a row ----


def _listed(number: str, rows: pd.DataFrame) -> Table:
    """Return a table with a row a model: the published accuracy, ours, and ours by the document's leak."""
    letters = formatting.lettered(rows["cause"])
    titles = ("published (%)", "ours (%)", f"{BY_TEST_IMAGES} (%)")
    lines: dict[str, dict[str, str]] = {}
    for row in rows.to_dict("records"):
        line = lines.setdefault(_title(row), dict.fromkeys(titles, formatting.NONE))
        if row["printed"]:
            line[titles[0]] = str(row["printed"])
        if str(row["further"]).endswith(BY_TEST_IMAGES):
            line[titles[2]] = _ours(row)
        elif not formatting.missing(row["ours"]):
            line[titles[1]] = f"{_ours(row)} {_interval(row)}{_letter(row, letters)}"
    return Table(
        name=f"table-{number}",
        caption=f"Published table {number}. {_CAPTIONS[number]}. Ours with its 95 % interval.",
        columns=(Column("model", "subject"), *(Column(title, "rate") for title in titles)),
        frame=pd.DataFrame([{"model": title, **line} for title, line in lines.items()]),
        group="", notes=(*_counts(rows), *formatting.in_letters(letters)),
    )  # fmt: skip


def _title(row: _Figure) -> str:
    """Return what a row is called: ours, or the published model where there is none of ours."""
    ours = str(row["our_model"]).partition("/")[2]
    if ours and not formatting.missing(row["ours"]):
        name = called(ours)
        return f"{name}, {HELD_OUT}" if row["further"] == HELD_OUT else name
    return called(str(row["model"]))


# ---- importances and quoted rates ----


def _importances(number: str, rows: pd.DataFrame) -> Table:
    """Return a row a member: its printed importance, and ours by what the meta-learner was fitted on."""
    members: dict[str, dict[str, str]] = {}
    for row in rows.to_dict("records"):
        line = members.setdefault(str(row["model"]), {})
        column = _HELD if row["further"] else _LEAKED
        line[column] = formatting.NONE if formatting.missing(row["ours"]) else f"{row['ours']:.1f}"
        if row["printed"]:
            line["published (%)"] = str(row["printed"])
    titles = ("published (%)", _LEAKED, _HELD)
    frame = pd.DataFrame([
        {"member": called(member), **{title: line.get(title, formatting.NONE) for title in titles}}
        for member, line in members.items()
    ])  # fmt: skip
    return Table(
        name=f"table-{number}",
        caption=f"Published table {number}. {_CAPTIONS[number]}: mean decrease in impurity. Those of the "
        "document add up to 99.8. Ours by what the forest was fitted on; each class of each member stands in "
        "the section on members.",
        columns=(Column("member", "subject"), *(Column(title, "rate") for title in titles)),
        frame=frame,
        group="",
    )


#: Shorter names of attacks are abbreviations.
_SHORT = 5
_LEAKED, _HELD = "ours, fitted on training images (%)", f"ours, {HELD_OUT} (%)"


def _quoted(number: str, rows: pd.DataFrame) -> Table:
    """Return a row an attack: the rate that the document quotes, and ours on a network of the run."""
    found = []
    for attack, of_attack in rows.groupby("attack", sort=False):
        printed, *ours = of_attack.to_dict("records")
        found.append({
            "attack": str(attack).upper() if len(str(attack)) < _SHORT else str(attack),
            "quoted": printed["printed"], "data": data_name(str(printed["data"])),
            "ours": f"{ours[0]['ours']:.1f} {_interval(ours[0])}" if ours else formatting.NONE,
            "on": _on(ours[0]) if ours else formatting.NONE,
        })  # fmt: skip
    columns: dict[Column, Say] = {
        Column("attack", "subject"): "attack", Column("quoted (%)", "rate"): "quoted",
        Column("of"): "data", Column("ours (%)", "rate"): "ours", Column("on", share=1): "on",
    }  # fmt: skip
    return tabulate(
        pd.DataFrame(found), columns,
        f"Section {number} of the document. {_CAPTIONS[number]}: share of the n images attacked, with its 95 % "
        "Wilson interval. The document attacks no model of its own.",
        name=f"table-{number}", group="",
    )  # fmt: skip


def _on(row: _Figure) -> str:
    model, _, threat = str(row["our_model"]).partition(" ")
    return ", ".join(
        part for part in (called(model.partition("/")[2]), threat, f"n = {int(row['n'])}") if part
    )


_TABLES: Mapping[str, Callable[[str, pd.DataFrame], PublishedTable | Table]] = {
    "1": network_table, "2": _networks, "3": _networks, "4": network_table, "5": _listed,
    "6": _importances, "7": trunk_table, "8": _by_trunk, "9": _by_trunk, "10": _listed, "3.1": _quoted,
}  # fmt: skip

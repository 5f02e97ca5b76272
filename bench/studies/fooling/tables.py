"""The study's tables in the published shape, ours beside every figure and the cause beside every difference."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.measure.differences import in_points
from bench.report import formatting
from bench.report.blocks import Entry, PublishedTable, Row, Table
from bench.studies.fooling.beside import FULL, NETWORKS
from bench.studies.fooling.methods import ARCHITECTURES, architecture_table, methods_table
from bench.studies.fooling.names import called

_CAPTIONS = {
    "11.4": "Accuracy on clean images",
    "12.1": "FGSM: share fooled, mean confidence of the images that fooled, time",
    "12.2": "What the clip to [0, 1] takes from FGSM, ResNet-50",
    "12.3": "DeepFool in l2: share fooled, mean size of the perturbation, mean size relative to the image less "
    "its channel means, time, iterations",
    "12.4": "What one clip at the end takes from DeepFool in l2",
    "12.5": "DeepFool in linf, as table 12.3",
    "12.6": "SparseFool with λ = 3: share fooled, median share of changed channel values, mean l2 size, "
    "iterations, time",
    "12.7": "One-pixel attack, population 100, at most 50 generations",
    "12.8": "Universal perturbations in l2: share fooled of the images X of the fit and of the test images, "
    "time of a pass over X, passes",
    "12.9": "Universal perturbations in linf, as table 12.8",
    "12.10": "Universal perturbations in l2 from one network (rows) on another (columns): share fooled (%)",
}
#: What heads a column, by metric; what is behind a comma stands in a second line.
_HEADS = {
    "accuracy": "accuracy, (%)",
    "fooling_rate": "fooled, (%)",
    "mean_confidence": "confidence, (%)",
    "time_per_sample": "time, ({unit})",
    "mean_l2": "size",
    "empirical_robustness": "size",
    "relative_robustness": "relative, size",
    "mean_iterations": "iterations",
    "median_pixels_perturbed": "changed, values (%)",
    "fooling_rate_on_fit_set": "fooled, in X (%)",
    "time_per_iteration": "a pass, (s)",
    "iterations": "passes",
    "fooling_rate_reduction": "fewer, fooled (%)",
    "mean_l2_reduction": "smaller, by (%)",
    "empirical_robustness_reduction": "smaller, by (%)",
}
#: Counts without decimals.
_WHOLE = ("iterations",)
#: Percentages so small that their hundredths count.
_HUNDREDTHS = (
    "median_pixels_perturbed", "fooling_rate_reduction", "mean_l2_reduction",
    "empirical_robustness_reduction",
)  # fmt: skip
#: What heads the rows of a table; those of the others are models.
_SUBJECTS = {"12.2": "radius", "12.10": "fitted on"}


def tables(beside: pd.DataFrame) -> Sequence[PublishedTable | Table]:
    """Return the tables of the study in their order.

    Args:
        beside: of `bench.studies.fooling.beside.beside`, with causes.
    """
    made: list[PublishedTable | Table] = [methods_table()]
    for number, rows in beside.groupby("table", sort=False):
        if str(number) in ARCHITECTURES:
            name = called(ARCHITECTURES[str(number)])
            made.append(architecture_table(str(number), name, rows))
        else:
            made.append(published_table(str(number), rows))
    return made


def published_table(number: str, rows: pd.DataFrame) -> PublishedTable:
    """Return one table with a row for each of ours and a column a figure.

    Args:
        number: as published.
        rows: of that table in `beside`.
    """
    letters = formatting.lettered(rows["cause"])
    found: dict[tuple[str, str], dict[str, Entry]] = {}
    heads: dict[str, None] = {}
    for row in rows.to_dict("records"):
        if row["further"] and row["planned"] == 0 and formatting.missing(row["ours"]):
            continue
        head = _head(number, row)
        heads.setdefault(head)
        found.setdefault(_row_key(number, row), {})[head] = _entry(row, letters)
    absent = Entry(published=formatting.NONE, ours=formatting.NONE, interval="")
    lines = tuple(
        Row(
            model=_row_title(subject, further),
            attack="",
            entries=tuple(entries.get(head, absent) for head in heads),
        )
        for (subject, further), entries in _in_order(found)
    )
    return PublishedTable(
        number=number,
        caption=_CAPTIONS[number] + _radius(rows),
        data=tuple(heads),
        groups=(("", lines),),
        notes=(*_images(rows), *formatting.in_letters(letters)),
        interval="95 %",
        stacked=True,
        subject=_SUBJECTS.get(number, "model"),
    )


def _head(number: str, row: Mapping[Hashable, Any]) -> str:
    """Return what heads the column that a figure stands in."""
    if number == "12.10":
        return f"on, {called(str(row['model']))}"
    head = _HEADS[str(row["metric"])].format(unit=row["unit"])
    if number == "12.1" and row["eps"]:
        return f"{head}, ε = {row['eps']}"
    if number in ("12.2", "12.4"):
        first = str(row["note"]).partition(",")[0]
        return head + {"clipped": ", clipped", "unclipped": ", no clip"}.get(first, "")
    return head


def _row_key(number: str, row: Mapping[Hashable, Any]) -> tuple[str, str]:
    """Return what a row is about, and what is further about it."""
    further = str(row["further"])
    if number == "12.2":
        return f"ε = {row['eps']}", further
    if number == "12.10":
        donor = NETWORKS[str(row["attack"]).removeprefix("universal-from-")][0]
        return called(donor), further
    name = called(str(row["our_model"]).partition("/")[2])
    return (f"{name}, {FULL}" if further.startswith(FULL) else name), further


def _in_order(
    found: Mapping[tuple[str, str], dict[str, Entry]],
) -> list[tuple[tuple[str, str], dict[str, Entry]]]:
    """Return the rows with what is further about each below it."""
    subjects = list(dict.fromkeys(subject for subject, _ in found))
    return sorted(found.items(), key=lambda item: subjects.index(item[0][0]))


def _row_title(subject: str, further: str) -> str:
    more = further.removeprefix(FULL).removeprefix(", ")
    return f"  {more}" if more else subject


def _entry(row: Mapping[Hashable, Any], letters: Mapping[str, str]) -> Entry:
    printed = str(row["printed"]) or formatting.NONE
    if formatting.missing(row["ours"]):
        return Entry(published=printed, ours=formatting.NONE, interval="")
    metric = str(row["metric"])
    cause = f" ({letters[str(row['cause'])]})" if row["cause"] else ""
    digits = min(4, max(3, sum(map(str.isdigit, printed.lstrip("0.")))))
    bounds = ", ".join(_number(row[side], metric, digits) for side in ("low", "high"))
    return Entry(
        published=printed,
        ours=_number(row["ours"], metric, digits) + cause,
        interval="" if formatting.missing(row["low"]) else f"[{bounds}]",
    )


def _number(value: float, metric: str, digits: int) -> str:
    """Return one of our figures with as many digits as its metric needs, and as the published one has."""
    if metric in _WHOLE:
        return formatting.count(value)
    if metric in _HUNDREDTHS:
        return f"{value:.2f}"
    return f"{value:.1f}" if in_points(metric) else formatting.amount(value, digits)


def _radius(rows: pd.DataFrame) -> str:
    """Return the radius in both units where the printed one is of normalised images."""
    other = rows[rows["eps"] != rows["eps_published"]]
    if other.empty:
        return ""
    printed, ours = other["eps_published"].iloc[0], other["eps"].iloc[0]
    return (
        f"; ξ = {printed} as printed, in units of normalised images, is {ours} in those of [0, 1]"
    )


def _images(rows: pd.DataFrame) -> list[str]:
    """Return how many images ours are of; of figures of a fit, of those fitted on."""
    counted = rows[(rows["n"] > 0) & rows["ours"].notna()]
    of_fit = counted["figure"].str.startswith("fit_")
    said = [
        f"{what} {_range(counted.loc[chosen, 'n'])} images."
        for what, chosen in (("Ours: of", ~of_fit), ("X: of", of_fit))
        if chosen.any()
    ]
    return said


def _range(counts: pd.Series[int]) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"

"""What the report of a study opens with: its document, how much of it is used, and where ours differs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.measure.differences import UNKNOWN, in_points
from bench.measure.published import CLEAN
from bench.report import formatting
from bench.report.blocks import Section, Text
from bench.report.findings import Findings
from bench.report.labels import data_name
from bench.report.rules import SectionRule
from bench.report.study import Study

#: So many of the largest differences are described, each cause once.
_LARGEST = 5
#: Names of attacks that are no longer are abbreviations.
_SHORT = 5

#: What makes one published figure; readings of its radius are rows of their own.
_FIGURE = ["table", "data", "model", "attack", "norm", "eps_published", "metric", "note"]


def section(findings: Findings) -> Section | None:
    """Return what the report of a study opens with."""
    if findings.beside is None:
        return None
    source = findings.source
    reference = (
        source.reference()
        if source
        else "No document is named: a file of the suite's name that ends in .json would name one."
    )
    first, *largest = differences(findings)
    listed = [f"({turn}) {difference}" for turn, difference in enumerate(largest, 1)]
    texts = [
        Text(text=reference),
        Text(text=used(findings)),
        *([Text(text=" ".join(source.notes))] if source and source.notes else []),
        Text(lead="Where ours differs, and why.", text=" ".join([first, *listed])),
    ]
    return Section(label="study", title="The study", blocks=tuple(texts))


def _figures(findings: Findings) -> pd.DataFrame:
    """Return a row a published figure, `eps_published` and `eps` in every case.

    Of the readings of a radius that is kept whose figure lies nearer to the published. Rows that a study
    calls `further` are left out: its published figures have a row of their own.
    """
    beside = findings.beside
    assert beside is not None
    known = beside[beside["published"].notna()].copy()
    if "further" in known:
        known = known[known["further"] == ""]
    for column in ("eps_published", "eps"):
        if column not in known:
            known[column] = ""
    known["far"] = (known["ours"] - known["published"]).abs()
    nearest = known.sort_values("far", kind="stable", na_position="last")
    return nearest.drop_duplicates(_FIGURE).sort_index()


# ---- how many are used ----


def used(findings: Findings) -> str:
    """Return in words how many published figures have ours beside them, and why others have none."""
    beside = _figures(findings)
    absent = beside[beside["ours"].isna()]
    if absent.empty:
        return f"{len(beside)} of {len(beside)} published figures have ours beside them."
    why = _reasons(findings, beside)[absent.index]
    reasons = sorted(absent.groupby(why, sort=False), key=lambda pair: -len(pair[1]))
    listed = ", ".join(f"{len(rows)} {reason} ({_whereabouts(rows)})" for reason, rows in reasons)
    return (
        f"{len(beside) - len(absent)} of {len(beside)} published figures have ours "
        f"beside them. Without ours ({formatting.NONE}) are {listed}."
    )


_NO_MODEL = "of models that this run does not have"
_NO_ATTACK = "of an attack or radius that it did not make"
_NO_RESULT = "that were planned and have no result that counts"


def _reasons(findings: Findings, beside: pd.DataFrame) -> pd.Series[str]:
    """Return why ours would be absent, of each published figure."""
    stands_for, cells = findings.study.stands_for, findings.results.cells
    known = {stands_for(str(model["model"])) for model in findings.results.models}
    made = set(zip(cells["model"].map(stands_for), cells["attack"], strict=True))
    aimed = beside["planned"] > 0
    # Clean figures come with any attack on the model.
    of_models = aimed.groupby([beside["data"], beside["model"]]).transform("any")
    reasons = []
    for figure, planned, model_planned in zip(
        beside.to_dict("records"), aimed, of_models, strict=True
    ):
        model, clean = f"{figure['data']}/{figure['model']}", figure["attack"] == CLEAN
        attacked = clean or figure.get("cell") or (model, figure["attack"]) in made
        if (planned or (clean and model_planned)) and attacked:
            reasons.append(_NO_RESULT)
        else:
            known_model = planned or (model in known and model_planned)
            reasons.append(_NO_ATTACK if known_model else _NO_MODEL)
    return pd.Series(reasons, index=beside.index, dtype="str")


def _whereabouts(rows: pd.DataFrame) -> str:
    """Return in which tables figures stand: `tables 5.1, 5.2`."""
    tables = list(dict.fromkeys(rows["table"].astype(str)))
    return f"table{'s' if len(tables) > 1 else ''} {', '.join(tables)}"


# ---- where ours differs ----


def differences(findings: Findings) -> list[str]:
    """Return what is to be known of all differences, then the largest, each cause once."""
    beside = _figures(findings)
    both = beside[beside["ours"].notna()]
    if both.empty:
        return ["No published figure has ours beside it in this run."]
    apart = both[both["apart"]]
    smoke = (
        f" With fewer than {formatting.SMOKE} images the interval is wide, and this is a smoke test."
        if int(both["n"].max()) < formatting.SMOKE
        else ""
    )
    inside = len(both) - len(apart)
    first = (
        f"The 95 % interval of ours holds the published figure in {inside} of {len(both)} cases."
        f"{smoke}"
    )
    if apart.empty:
        return [first]
    shown = _groups(apart)[:_LARGEST]
    covered = sum(len(rows) for _, rows in shown)
    rest = (
        f" The largest differences (with those like them {covered} of the {len(apart)} others; all are in "
        f"{findings.results.suite}-published.csv):"
        if covered < len(apart)
        else " The others, with those like them:"
    )
    return [first + rest, *(_in_words(cause, rows, findings.study) for cause, rows in shown)]


def _groups(apart: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the differences of one cause together, the largest first in and among the groups."""
    apart = apart.assign(size=_sizes(apart))
    keys: list[str] = []
    for figure in apart.to_dict("records"):
        # Unexplained ones are together where they are of one threat and one direction.
        threat = [] if _is_clean(figure) else [figure["attack"], figure["norm"], figure["eps"]]
        alike = [figure["data"], figure["metric"], figure["ours"] > figure["published"], *threat]
        unknown = figure["cause"] == UNKNOWN
        keys.append(f"{UNKNOWN} {alike}" if unknown else figure["cause"])
    ordered = apart.assign(key=keys).sort_values("size", ascending=False, kind="stable")
    return [
        (UNKNOWN if str(key).startswith(UNKNOWN) else str(key), rows)
        for key, rows in ordered.groupby("key", sort=False)
    ]


def _is_clean(figure: Mapping[Hashable, Any]) -> bool:
    """Return whether a figure is of clean images; accuracies beside a critical eps are."""
    return bool(figure["attack"] == CLEAN or (figure["metric"] == "accuracy" and not figure["eps"]))


def _sizes(apart: pd.DataFrame) -> pd.Series[float]:
    """Return how large differences are: of percentages in points, else in percent of the published."""
    far = (apart["ours"] - apart["published"]).abs()
    percent = 100 * far / apart["published"].abs().replace(0, np.nan)
    shares = far.where(apart["metric"] != "f_score", 100 * far)
    return shares.where(apart["metric"].map(in_points), percent).fillna(0)


def _in_words(cause: str, rows: pd.DataFrame, study: Study) -> str:
    """Return a difference in words, the largest of those of one cause."""
    figure = rows.iloc[0].to_dict()
    far = figure["ours"] - figure["published"]
    if not in_points(figure["metric"]):
        gap = f"{100 * far / figure['published']:+.0f} %"
    elif figure["metric"] == "f_score":
        gap = f"{far:+.2f}"
    else:
        gap = f"{far:+.1f} points"
    more = len(rows) - 1
    like = (
        f"; {formatting.plural(more, 'more figure')} differ{'s' if more == 1 else ''} so"
        if more
        else ""
    )
    return (
        f"{_subject(figure, study)} (table {figure['table']}): published {_number(figure, 'published')}, "
        f"ours {_number(figure, 'ours')} ({gap.replace('-', '−')}){like}: {cause}."
    )


def _number(figure: Mapping[Hashable, Any], which: str) -> str:
    """Return the published figure or ours, with as many digits as its metric needs."""
    places = {"critical_eps": 4, "f_score": 2}.get(str(figure["metric"]))
    if places is None and not in_points(str(figure["metric"])):
        return str(figure["printed"]) if which == "published" else formatting.amount(figure[which])
    return f"{figure[which]:.{1 if places is None else places}f}"


def _subject(figure: Mapping[Hashable, Any], study: Study) -> str:
    """Return what a figure is of: `DL, SGD on CIFAR-10, PGD linf 0.02`."""
    model, data = study.called(str(figure["model"])), data_name(str(figure["data"]))
    measure = (
        "f-score" if figure["metric"] == "f_score" else str(figure["metric"]).replace("_", " ")
    )
    parts = [f"{model} on {data}"]
    if not _is_clean(figure):
        eps = f" {formatting.threat(figure['norm'], str(figure['eps']))}" if figure["eps"] else ""
        attack = str(figure["attack"])
        parts.append(f"{attack.upper() if eps and len(attack) <= _SHORT else attack}{eps}")
    elif measure == "accuracy":
        measure = "clean accuracy"
    if measure != "accuracy":
        parts.append(measure)
    return ", ".join(parts)


SECTION = SectionRule(name="opening", place=10, make=section)

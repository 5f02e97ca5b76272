"""What the report of a study opens with: its document, how much of it is used, and where ours differs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.measure.published import CLEAN
from bench.measure.source import Source
from bench.report import formatting
from bench.report.blocks import Section, Text
from bench.report.findings import Findings
from bench.report.labels import data_name
from bench.report.rules import SectionRule
from bench.report.study import Study

#: So many of the largest differences are described, each cause once.
_LARGEST = 5
#: Of a normal distribution, for figures that come with a standard error alone.
_Z = 1.96
#: Measures whose differences are given in percent of the published figure, not in points.
_RELATIVE = "critical_eps"
UNKNOWN = "cause not known"

#: What makes one published figure; readings of its radius are rows of their own.
_FIGURE = ["table", "data", "model", "attack", "norm", "eps_published", "metric"]


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
    """Return a row a published figure, `metric`, `low` and `high` in every case.

    Of the readings of a radius that is kept whose figure lies nearer to the published.
    """
    beside = findings.beside
    assert beside is not None
    known = beside[beside["published"].notna()].copy()
    for column, plain in (("metric", "accuracy"), ("eps_published", ""), ("eps", "")):
        if column not in known:
            known[column] = plain
    if "low" not in known:
        known["low"] = known["ours"] - _Z * known["error"].fillna(0)
        known["high"] = known["ours"] + _Z * known["error"].fillna(0)
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
        attacked = clean or (model, figure["attack"]) in made
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
    apart = both[(both["published"] < both["low"]) | (both["published"] > both["high"])]
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
    shown = _groups(apart, findings.source)[:_LARGEST]
    covered = sum(len(rows) for _, rows in shown)
    rest = (
        f" The largest differences (with those like them {covered} of the {len(apart)} others; all are in "
        f"{findings.results.suite}-published.csv):"
        if covered < len(apart)
        else " The others, with those like them:"
    )
    return [first + rest, *(_in_words(cause, rows, findings.study) for cause, rows in shown)]


def _groups(apart: pd.DataFrame, source: Source | None) -> list[tuple[str, pd.DataFrame]]:
    """Return the differences of one cause together, the largest first in and among the groups."""
    causes = source.causes if source else ()
    apart = apart.assign(size=_sizes(apart))
    keys: list[str] = []
    for figure in apart.to_dict("records"):
        found = next((cause.cause for cause in causes if cause.explains(figure)), None)
        # Unexplained ones are together where they are of one threat and one direction.
        threat = [] if _is_clean(figure) else [figure["attack"], figure["norm"], figure["eps"]]
        alike = [figure["data"], figure["metric"], figure["ours"] > figure["published"], *threat]
        keys.append(found or f"{UNKNOWN} {alike}")
    ordered = apart.assign(key=keys).sort_values("size", ascending=False, kind="stable")
    return [
        (UNKNOWN if str(key).startswith(UNKNOWN) else str(key), rows)
        for key, rows in ordered.groupby("key", sort=False)
    ]


def _is_clean(figure: Mapping[Hashable, Any]) -> bool:
    """Return whether a figure is of clean images; accuracies beside a critical eps are."""
    return bool(figure["attack"] == CLEAN or (figure["metric"] == "accuracy" and not figure["eps"]))


def _sizes(apart: pd.DataFrame) -> pd.Series[float]:
    """Return how large differences are: in points, of a critical eps in percent of the published."""
    far = (apart["ours"] - apart["published"]).abs()
    percent = 100 * far / apart["published"].replace(0, np.nan)
    shares = far.where(apart["metric"] != "f_score", 100 * far)
    return shares.where(apart["metric"] != _RELATIVE, percent).fillna(0)


def _in_words(cause: str, rows: pd.DataFrame, study: Study) -> str:
    """Return a difference in words, the largest of those of one cause."""
    figure = rows.iloc[0].to_dict()
    relative = figure["metric"] == _RELATIVE
    places = 4 if relative else 2 if figure["metric"] == "f_score" else 1
    far = figure["ours"] - figure["published"]
    gap = (
        f"{100 * far / figure['published']:+.0f} %"
        if relative
        else f"{far:+.2f}"
        if figure["metric"] == "f_score"
        else f"{far:+.1f} points"
    )
    more = len(rows) - 1
    like = (
        f"; {formatting.plural(more, 'more figure')} differ{'s' if more == 1 else ''} so"
        if more
        else ""
    )
    return (
        f"{_subject(figure, study)} (table {figure['table']}): published {figure['published']:.{places}f}, "
        f"ours {figure['ours']:.{places}f} ({gap.replace('-', '−')}){like}: {cause}."
    )


def _subject(figure: Mapping[Hashable, Any], study: Study) -> str:
    """Return what a figure is of: `DL, SGD on CIFAR-10, PGD linf 0.02`."""
    model, data = study.called(str(figure["model"])), data_name(str(figure["data"]))
    measure = (
        "f-score" if figure["metric"] == "f_score" else str(figure["metric"]).replace("_", " ")
    )
    parts = [f"{model} on {data}"]
    if not _is_clean(figure):
        eps = f" {formatting.threat(figure['norm'], str(figure['eps']))}" if figure["eps"] else ""
        parts.append(f"{str(figure['attack']).upper() if eps else figure['attack']}{eps}")
    elif measure == "accuracy":
        measure = "clean accuracy"
    if measure != "accuracy":
        parts.append(measure)
    return ", ".join(parts)


SECTION = SectionRule(name="opening", place=10, make=section)

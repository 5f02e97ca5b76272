"""What the report of a study opens with: its document, how much of it is used, and where ours differs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.measure.published import CLEAN
from bench.measure.source import Source
from bench.report import formatting
from bench.report.study_kind import Study
from bench.store.results import Results
from bench.studies.local_learning.repeated_runs import configuration

#: So many of the largest differences are told of, each cause once.
_LARGEST = 5
#: Of a normal distribution, for figures that come with a standard error alone.
_Z = 1.96
#: Measures whose differences are told in percent of the published figure, not in points.
_RELATIVE = "critical_eps"
UNKNOWN = "cause not known"

#: What makes one published figure; readings of its radius are rows of their own.
_FIGURE = ["table", "data", "model", "attack", "norm", "eps_published", "metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What stands before all else in the report of a study.

    Attributes:
        reference: of its document.
        used: how many of the published figures have ours beside them, and why others have none.
        notes: what one must know to read them, a sentence each.
        differs: where ours differs and why: what is said of all, then a text a difference.
    """

    reference: str
    used: str
    notes: tuple[str, ...]
    differs: tuple[str, ...]


def opening(results: Results, beside: pd.DataFrame, study: Study, source: Source | None) -> Opening:
    """Return what the report of a study opens with.

    Args:
        results: the cells of the run.
        beside: the published figures beside ours, of `Study.beside`.
        study: how things are called.
        source: the document; None where no file tells of one.
    """
    beside = _figures(beside)
    return Opening(
        reference=(
            source.reference()
            if source
            else "No document is named: a file of the suite's name that ends in .json would tell of it."
        ),
        used=_used(results, beside),
        notes=source.notes if source else (),
        differs=tuple(_differs(results, beside, study, source)),
    )


def _figures(beside: pd.DataFrame) -> pd.DataFrame:
    """Return a row a published figure, `metric`, `low` and `high` in every case.

    Of the readings of a radius the one is kept whose figure lies nearer to the published.
    """
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


def _used(results: Results, beside: pd.DataFrame) -> str:
    """Return in words how many published figures have ours beside them, and why others have none."""
    absent = beside[beside["ours"].isna()]
    if absent.empty:
        return f"{len(beside)} of {len(beside)} published figures have ours beside them."
    why = _reasons(results, beside)[absent.index]
    reasons = sorted(absent.groupby(why, sort=False), key=lambda pair: -len(pair[1]))
    told = ", ".join(f"{len(rows)} {reason} ({_whereabouts(rows)})" for reason, rows in reasons)
    return (
        f"{len(beside) - len(absent)} of {len(beside)} published figures have ours "
        f"beside them. Without ours ({formatting.NONE}) are {told}."
    )


_NO_MODEL = "of models that this run does not have"
_NO_ATTACK = "of an attack or radius that it did not make"
_NO_RESULT = "that were planned and have no result that counts"


def _reasons(results: Results, beside: pd.DataFrame) -> pd.Series[str]:
    """Return why ours would be absent, of each published figure."""
    known = {configuration(str(model["model"])) for model in results.models}
    made = set(zip(results.cells["model"].map(configuration), results.cells["attack"], strict=True))
    aimed = beside["planned"] > 0
    # Clean figures come with any attack on the model.
    of_models = aimed.groupby([beside["data"], beside["model"]]).transform("any")
    said = []
    for one, planned, any_of_it in zip(beside.to_dict("records"), aimed, of_models, strict=True):
        model, clean = f"{one['data']}/{one['model']}", one["attack"] == CLEAN
        attacked = clean or (model, one["attack"]) in made
        if (planned or (clean and any_of_it)) and attacked:
            said.append(_NO_RESULT)
        else:
            said.append(_NO_ATTACK if planned or (model in known and any_of_it) else _NO_MODEL)
    return pd.Series(said, index=beside.index, dtype="str")


def _whereabouts(rows: pd.DataFrame) -> str:
    """Return in which tables figures stand: `tables 5.1, 5.2`."""
    tables = list(dict.fromkeys(rows["table"].astype(str)))
    return f"table{'s' if len(tables) > 1 else ''} {', '.join(tables)}"


# ---- where ours differs ----


def _differs(
    results: Results, beside: pd.DataFrame, study: Study, source: Source | None
) -> list[str]:
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
    groups = _groups(apart, source)
    shown = groups[:_LARGEST]
    told = sum(len(rows) for _, rows in shown)
    rest = (
        f" The largest differences (with those like them {told} of the {len(apart)} others; all are in "
        f"{results.suite}-published.csv):"
        if told < len(apart)
        else " The others, with those like them:"
    )
    return [first + rest, *(_told(cause, rows, study) for cause, rows in shown)]


def _groups(apart: pd.DataFrame, source: Source | None) -> list[tuple[str, pd.DataFrame]]:
    """Return the differences of one cause together, the largest first in and among the groups."""
    causes = source.causes if source else ()
    apart = apart.assign(size=_sizes(apart))
    keys: list[str] = []
    for one in apart.to_dict("records"):
        found = next((cause.cause for cause in causes if cause.explains(one)), None)
        # Unexplained ones are together where they are of one threat and one direction.
        threat = [] if _is_clean(one) else [one["attack"], one["norm"], one["eps"]]
        alike = [one["data"], one["metric"], one["ours"] > one["published"], *threat]
        keys.append(found or f"{UNKNOWN} {alike}")
    ordered = apart.assign(key=keys).sort_values("size", ascending=False, kind="stable")
    return [
        (UNKNOWN if str(key).startswith(UNKNOWN) else str(key), rows)
        for key, rows in ordered.groupby("key", sort=False)
    ]


def _is_clean(one: Mapping[Hashable, Any]) -> bool:
    """Return whether a figure is of clean images; accuracies beside a critical eps are."""
    return bool(one["attack"] == CLEAN or (one["metric"] == "accuracy" and not one["eps"]))


def _sizes(apart: pd.DataFrame) -> pd.Series[float]:
    """Return how large differences are: in points, of a critical eps in percent of the published."""
    far = (apart["ours"] - apart["published"]).abs()
    percent = 100 * far / apart["published"].replace(0, np.nan)
    shares = far.where(apart["metric"] != "f_score", 100 * far)
    return shares.where(apart["metric"] != _RELATIVE, percent).fillna(0)


def _told(cause: str, rows: pd.DataFrame, study: Study) -> str:
    """Return a difference in words, the largest of those of one cause."""
    one = rows.iloc[0].to_dict()
    relative = one["metric"] == _RELATIVE
    places = 4 if relative else 2 if one["metric"] == "f_score" else 1
    far = one["ours"] - one["published"]
    gap = (
        f"{100 * far / one['published']:+.0f} %"
        if relative
        else f"{far:+.2f}"
        if one["metric"] == "f_score"
        else f"{far:+.1f} points"
    )
    more = len(rows) - 1
    like = (
        f"; {formatting.plural(more, 'more figure')} differ{'s' if more == 1 else ''} so"
        if more
        else ""
    )
    return (
        f"{_subject(one, study)} (table {one['table']}): published {one['published']:.{places}f}, "
        f"ours {one['ours']:.{places}f} ({gap.replace('-', '−')}){like}: {cause}."
    )


def _subject(one: Mapping[Hashable, Any], study: Study) -> str:
    """Return what a figure is of: `DL, SGD on CIFAR-10, PGD linf 0.02`."""
    model, data = study.called(str(one["model"])), study.name(str(one["data"]))
    measure = "f-score" if one["metric"] == "f_score" else str(one["metric"]).replace("_", " ")
    parts = [f"{model} on {data}"]
    if not _is_clean(one):
        eps = f" {formatting.threat(one['norm'], str(one['eps']))}" if one["eps"] else ""
        parts.append(f"{str(one['attack']).upper() if eps else one['attack']}{eps}")
    elif measure == "accuracy":
        measure = "clean accuracy"
    if measure != "accuracy":
        parts.append(measure)
    return ", ".join(parts)

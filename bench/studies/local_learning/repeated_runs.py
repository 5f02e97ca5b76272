"""The published figures of trainings, each beside ours: accuracy, critical eps, f-score, means of a grid.

A configuration is a model's name without its `-seedN`; trainings of one configuration differ in that
alone. Ours is the mean over the trainings of the run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.spec import configuration
from bench.store.results import Results

#: The columns of `beside_published`.
COLUMNS = (
    "table", "data", "model", "attack", "norm", "metric", "published", "published_spread", "ours", "error", "spread",
    "trainings", "n", "planned", "note",
)  # fmt: skip

_FILTERS = re.compile(r"ll-K(?P<K>\d+)-w(?P<w>\d+)-m(?P<m>\d+)-p(?P<p>\d+)-delta(?P<delta>[\d.]+)")
_SPREAD = re.compile(r"sd ([\d.]+)(?:; |$)")
_PERCENT = {"%": 1.0, "fraction": 100.0}


def accuracies(outcomes: Outcomes) -> dict[str, float]:
    """Return each model's share of right answers on all clean images of the run, in percent."""
    return {model: 100 * float(right.mean()) for model, right in outcomes.clean.items()}


def beside_published(
    outcomes: Outcomes, radii: pd.DataFrame, published: pd.DataFrame
) -> pd.DataFrame:
    """Return each published figure beside ours.

    Args:
        outcomes: of a suite's last run.
        radii: of `bench.measure.radius.critical_eps`.
        published: of `bench.measure.published.read_published`.

    Returns:
        `COLUMNS`, a row a figure, in the order of the file; a note's `sd 0.1` is `published_spread`. Accuracies are in percent, critical eps in
        pixels of [0, 1], f-scores shares. `error` is the standard error of one training over its images
        (of several, the root of their mean square), `spread` the standard deviation between trainings;
        NaN where there is none. `n` images (the fewest of any training), `planned` whether the run has
        such a model.
    """
    results, right = outcomes.results, outcomes.clean
    kinds: dict[str, Callable[[Mapping[Hashable, Any]], Sequence[_Training]]] = {
        "accuracy": lambda figure: [
            _accuracy(right.get(title)) for title in _trainings(results, figure)
        ],
        "critical_eps": lambda figure: _radii(results, radii, figure),
        "f_score": lambda figure: _f_scores(results, figure),
        "mean_accuracy": lambda figure: _grid(results, right, figure),
        "max_accuracy": lambda figure: _grid(results, right, figure),
    }
    rows = []
    for figure in published.to_dict("records"):
        found = kinds[str(figure["metric"])](figure)
        share = "accuracy" in str(figure["metric"])
        row = {name: figure[name] for name in ("table", "model", "attack", "norm", "metric")}
        row |= {"data": figure["dataset"]}
        unit = _PERCENT[str(figure["unit"])] if share else 1.0
        note = str(figure["note"])
        spread = _SPREAD.match(note)
        row |= {
            "published": figure["value"] * unit,
            "published_spread": float(spread[1]) * unit if spread else math.nan,
            "note": note[spread.end() :] if spread else note,
        }
        rows.append(row | _together(found, best=figure["metric"] == "max_accuracy"))
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _Training(dict[str, float]):
    """`value, error, n` of one training; value is NaN where it is planned and has no result."""


def _together(found: Sequence[_Training], *, best: bool) -> dict[str, Any]:
    """Return the mean of some trainings, or the best, and how far it can be trusted."""
    done = [training for training in found if not math.isnan(training["value"])]
    nothing = {"ours": math.nan, "error": math.nan, "spread": math.nan, "trainings": 0, "n": 0}
    if not done:
        return nothing | {"planned": int(bool(found))}
    values = [training["value"] for training in done]
    return {
        "ours": max(values) if best else float(np.mean(values)),
        "error": math.sqrt(float(np.mean([training["error"] ** 2 for training in done]))),
        "spread": float(np.std(values, ddof=1)) if len(values) > 1 and not best else math.nan,
        "trainings": len(done),
        "n": int(min(training["n"] for training in done)),
        "planned": 1,
    }


def _trainings(results: Results, figure: Mapping[Hashable, Any]) -> list[str]:
    """Return the titles of the trainings of a configuration."""
    wanted = f"{figure['dataset']}/{figure['model']}"
    titles = [str(model["model"]) for model in results.models]
    return [title for title in titles if configuration(title) == wanted]


def _accuracy(right: pd.Series[bool] | None) -> _Training:
    if right is None:
        return _Training(value=math.nan, error=math.nan, n=0)
    share = float(right.mean())
    error = math.sqrt(share * (1 - share) / len(right))
    return _Training(value=100 * share, error=100 * error, n=len(right))


def _radii(
    results: Results, radii: pd.DataFrame, figure: Mapping[Hashable, Any]
) -> list[_Training]:
    found = []
    for title in _trainings(results, figure):
        measured = radii[(radii["model"] == title) & (radii["attack"] == figure["attack"])]
        if measured.empty:
            found.append(_Training(value=math.nan, error=math.nan, n=0))
        for cell in measured.to_dict("records"):
            found.append(_Training(value=cell["critical_eps"], error=cell["error"], n=cell["n"]))
    return found


def _f_scores(results: Results, figure: Mapping[Hashable, Any]) -> list[_Training]:
    """Return the f-scores of the filters of a configuration, those of several heads once."""
    named = _FILTERS.fullmatch(str(figure["model"]))
    if named is None:
        return []
    found: dict[int, _Training] = {}
    for model in results.models:
        options, score = model.get("options") or {}, model.get("f_score")
        if rule_of(str(model["model"])) != "ll" or score is None:
            continue
        wanted = {part: float(value) for part, value in named.groupdict().items()}
        if all(float(options.get(part, math.nan)) == value for part, value in wanted.items()):
            found[int(options.get("seed", 0))] = _Training(value=score, error=math.nan, n=0)
    return list(found.values())


def _grid(
    results: Results, right: Mapping[str, pd.Series[bool]], figure: Mapping[Hashable, Any]
) -> list[_Training]:
    """Return the configurations of a rule with one value of a hyperparameter: `ll-grid w=4`."""
    grid, _, setting = str(figure["model"]).partition(" ")
    part, _, value = setting.partition("=")
    found: dict[str, list[_Training]] = {}
    for model in results.models:
        title, options = str(model["model"]), model.get("options") or {}
        if rule_of(title) == grid.removesuffix("-grid") and str(options.get(part)) == value:
            found.setdefault(configuration(title), []).append(_accuracy(right.get(title)))
    means = [_together(trainings, best=False) for trainings in found.values()]
    return [_Training(value=mean["ours"], error=mean["error"], n=mean["n"]) for mean in means]


def rule_of(title: str) -> str:
    """Return `ll` or `bp` for a model of the study of local learning."""
    return title.rpartition("/")[2].partition("-")[0]

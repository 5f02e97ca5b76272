"""Each published figure of the study beside ours.

Rows marked `further` stand beside no printed figure of their own, but help to read one: the epoch chosen by the
test images as in the document, a meta-learner fitted on held-out images, another trunk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from bench.report.measured import Measured
from bench.store.results import Results
from bench.studies.flowers17.architectures import network_counts, trunk_counts
from bench.studies.flowers17.names import (
    CLASSIFIERS,
    DATA,
    LINEAR_SVM,
    NETWORKS,
    TRUNKS,
    OnFeatures,
    Tuned,
    on_features,
    trunk_with_data,
    tuned,
)
from bench.studies.flowers17.ours import NOTHING, Ours, Run

COLUMNS = (
    "table", "data", "model", "attack", "norm", "eps_published", "eps", "published", "ours", "low",
    "high", "n", "spread", "trainings", "cells", "planned", "note", "metric", "unit", "printed",
    "our_model", "further",
)  # fmt: skip
#: What further rows are, as tables say it.
BY_TEST_IMAGES = "epoch chosen by test images"
HELD_OUT = "fitted on held-out images"
MAJORITY = "majority vote"
SLIM = "slim"
LINEAR = "linear"

_QUOTED = "quoted"
_COUNTS = ("convolutions", "pools", "hidden_layers", "parameters")
#: The column of trainings that a printed metric is of.
_FIGURES = {
    "accuracy": "test_accuracy", "validation_loss": "validation_loss", "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
}  # fmt: skip
_PHASES = {"a": 1, "b": 2}
_SETTING = re.compile(r"^finetune-(.+)-phase-([ab])-(.+)$")
#: The published trunk behind whose figures those on our other trunks stand.
_BEHIND = "mobilenet"
_NAN = float("nan")


class _Found(NamedTuple):
    """A figure of ours, the model it is of, and what is further about it."""

    model: str
    ours: Ours
    further: str = ""


def beside(results: Results, measured: Measured, published: pd.DataFrame) -> pd.DataFrame:
    """Return the published figures beside ours.

    Args:
        results: the run.
        measured: its figures.
        published: of `bench.measure.published.read_published`.

    Returns:
        A row a published figure, in the order of the file, and behind it its further ones: `COLUMNS`. Shares
        are in percent, published and ours. `ours` is the mean over `trainings` of a configuration (0 where the
        figure is of no training) with the standard deviation `spread` between them; `low, high` its 95 %
        interval, see `bench.studies.flowers17.ours`; `n` images, 0 where none were counted; `planned` whether
        the run has the model. `our_model` is its name with the data set, `further` what a further row is, empty
        of the row that counts. Further rows have no published figure.
    """
    run = Run(results, measured)
    rows = [
        _row(figure, found)
        for figure in published.to_dict("records")
        for found in _found(figure, run)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(figure: Mapping[Any, Any], found: _Found) -> dict[str, Any]:
    """Return a row of the comparison."""
    ours, further = found.ours, found.further
    scale = 100.0 if figure["unit"] == "fraction" else 1.0
    return {
        "table": figure["table"], "data": figure["dataset"], "model": figure["model"],
        "attack": figure["attack"], "norm": figure["norm"], "eps_published": figure["eps"],
        "eps": figure["eps"], "published": _NAN if further else scale * figure["value"],
        "ours": ours.value, "low": ours.low, "high": ours.high, "n": ours.n, "spread": ours.spread,
        "trainings": ours.trainings, "cells": 0, "planned": int(ours.planned), "note": figure["note"],
        "metric": figure["metric"], "unit": "%" if scale > 1 else figure["unit"],
        "printed": "" if further else _printed(figure), "our_model": found.model, "further": further,
    }  # fmt: skip


def _printed(figure: Mapping[Any, Any]) -> str:
    """Return a published figure as printed; of a share what that is in percent: `54.1` for `0.541`."""
    text = str(figure["printed"])
    if figure["unit"] != "fraction":
        return text
    places = max(0, len(text.partition(".")[2]) - 2)
    return f"{100 * figure['value']:.{places}f}"


def _found(figure: Mapping[Any, Any], run: Run) -> Iterator[_Found]:
    """Yield what of ours stands beside a published figure: first that which counts, then further ones."""
    model, metric = str(figure["model"]), str(figure["metric"])
    if model == _QUOTED:
        yield _Found("", NOTHING)
        of, success = run.success(str(figure["attack"]))
        if success.planned:
            yield _Found(of, success, "here")
    elif model in TRUNKS:
        yield from _trunks(model, metric, run)
    elif model in NETWORKS and metric in _COUNTS:
        yield _Found(f"{DATA}/{model}", _exactly(network_counts(model)[metric]))
        if metric == "parameters":
            slim = network_counts(model, slim=True)[metric]
            yield _Found(f"{DATA}/{model}-slim", _exactly(slim), SLIM)
    elif metric == "importance":
        yield from _importances(model, run)
    elif "+" in model or model.startswith("finetune-"):
        yield from (_tuned if model.startswith("finetune-") else _features)(model, run)
    elif model == "bagging" or model.startswith("stacking-"):
        yield from _ensembles(model.partition("-")[0], run)
    else:
        yield from _networks(model, metric, run)


def _exactly(count: float | None) -> Ours:
    return NOTHING if count is None else Ours(value=count, low=count, high=count)


def _networks(model: str, metric: str, run: Run) -> Iterator[_Found]:
    """Yield a figure of our network, the one of the published width where the run has it, else the slim one."""
    own = f"{DATA}/{model}"
    own = own if run.has(own) else f"{own}-slim"
    yield _Found(own, run.trained(own, _FIGURES[metric]))
    leaky = run.trained(own, "leaky_accuracy")
    if metric == "accuracy" and leaky.planned:
        yield _Found(own, leaky, BY_TEST_IMAGES)


def _ensembles(how: str, run: Run) -> Iterator[_Found]:
    """Yield the accuracy of ensembles; of stacking that on leaked images counts, as in the document."""
    found = list(run.combined(how))
    counts = next((model for model, leak in found if leak or how != "stacking"), None)
    yield _Found(counts or "", run.on_clean_images(counts) if counts else NOTHING)
    for model, _ in found:
        if model != counts:
            yield _Found(model, run.on_clean_images(model), HELD_OUT)
    if how == "bagging":
        for model, _ in run.combined("majority"):
            yield _Found(model, run.on_clean_images(model), MAJORITY)


def _importances(model: str, run: Run) -> Iterator[_Found]:
    member = f"{DATA}/{model}-slim"
    found = sorted(run.combined("stacking"), key=lambda pair: not pair[1])
    leaked = [stack for stack, leak in found if leak][:1]
    yield _Found(member, run.importance(leaked[0], member) if leaked else NOTHING)
    for stack, leak in found:
        if not leak:
            yield _Found(member, run.importance(stack, member), HELD_OUT)


def _trunks(model: str, metric: str, run: Run) -> Iterator[_Found]:
    """Yield the size of a published trunk, and those of our other trunks."""
    yield _Found(f"imagenet/{TRUNKS[model][0]}", _exactly(trunk_counts(model).get(metric)))
    if model == _BEHIND:
        for trunk in _others(on_features(name) for name in run.names):
            count = trunk_counts(trunk).get(metric)
            if count is not None:
                yield _Found(trunk, _exactly(count), on_trunk(trunk))


def _features(model: str, run: Run) -> Iterator[_Found]:
    """Yield the accuracy of a classifier on a published trunk, and on our other trunks."""
    trunk, _, top = model.partition("+")
    wanted = [(TRUNKS[trunk][0], "")]
    if trunk == _BEHIND:
        others = _others(on_features(name) for name in run.names)
        wanted += [(other, on_trunk(other)) for other in others]
    for own, further in wanted:
        name = f"{DATA}/features-{own}-{CLASSIFIERS[top][0]}"
        yield _Found(name, run.on_clean_images(name), further)
        linear = f"{DATA}/features-{own}-{LINEAR_SVM[0]}"
        if top == "svm" and run.has(linear):
            said = ", ".join(filter(None, (further, LINEAR)))
            yield _Found(linear, run.on_clean_images(linear), said)


def _tuned(model: str, run: Run) -> Iterator[_Found]:
    """Yield the accuracy of a head tuned on a published trunk, in one of its phases, and on our other trunks."""
    trunk, phase, setting = _SETTING.findall(model)[0]
    wanted = [(TRUNKS[trunk][0], "")]
    if trunk == _BEHIND:
        others = _others(tuned(name) for name in run.names)
        wanted += [(other, on_trunk(other)) for other in others]
    for own, further in wanted:
        name = f"{DATA}/tuned-{own}-{setting.replace('+', '-')}"
        yield _Found(name, run.in_phase(name, _PHASES[phase], "test_accuracy"), further)
        leaky = run.in_phase(name, _PHASES[phase], "leaky_accuracy")
        if leaky.planned:
            said = ", ".join(filter(None, (further, BY_TEST_IMAGES)))
            yield _Found(name, leaky, said)


def _others(made: Iterable[OnFeatures | Tuned | None]) -> list[str]:
    """Return the trunks of ours that are none of the published ones, in the run's order."""
    published = {ours for ours, _ in TRUNKS.values()}
    return list(dict.fromkeys(one.trunk for one in made if one and one.trunk not in published))


def on_trunk(trunk: str) -> str:
    """Return what is further about a model on a trunk that the document does not have."""
    return f"trunk: {trunk_with_data(trunk)}"

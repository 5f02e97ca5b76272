"""What things are called in a report: attacks, data sets, and the marks after a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.data.table import DATASETS
from bench.measure.statistics import wilson
from bench.measure.validity import ONE_DRAW, WITHOUT_NOISE
from bench.report import formatting
from bench.report.blocks import Column, Say
from bench.spec import PLAIN_SURFACES, whole
from bench.store.results import Results

#: After a figure of ours of which some attacks have no result: it may be too high.
PARTIAL = "†"
#: After that of a random model whose expected gradient no attack followed (`unseen_noise`): likewise.
BY_ONE_DRAW = "‡"
#: After a figure that checks speak against: that may be too high, or that one of them failed.
DOUBTFUL, REFUTED = "§", "¶"

#: Parameters that need no mention where they are 1.
_PLAIN_AT_ONE = ("eot", "restarts")

MODEL = Column("model")
ATTACK = Column("attack", "subject")
TOOLKIT = Column("toolkit")
THREAT = Column("threat", "threat")
COUNT = Column("n", "number")
TRUST = Column("trust", "verdict")
NOTE = Column("note", share=1)


def data_name(data: str) -> str:
    """Return how a data set is printed: `CIFAR-10`; one that is not ours, as it is written."""
    known = DATASETS.get(data)
    return known.title if known else data


def attack_names(results: Results) -> dict[str, str]:
    """Return the attack of each cell of a run in words, as in `variants`."""
    return variants(results.cells)


def variants(cells: pd.DataFrame) -> dict[str, str]:
    """Return the attack of each cell in words: its name, and what tells it from its variants.

    A suite may have an attack twice at one threat, as PGD with and without a random start; the
    parameters that differ are then part of the name: `pgd, no random start`. So is the number of images
    attacked together, if it differs on one data set.

    Args:
        cells: `cell, attack, norm, eps, data, parameters, batch_size`, as in `bench.store.results.Results`.
    """
    names: dict[str, str] = {}
    for (attack, _), group in cells.groupby(["attack", "norm"], sort=False):
        differing: set[str] = set()
        for _, at_radius in group.groupby("eps", dropna=False):
            given = [
                {name: str(value) for name, value in parameters.items()}
                for parameters in at_radius["parameters"]
            ]
            every = {name for parameters in given for name in parameters}
            differing |= {
                name for name in every if len({parameters.get(name) for parameters in given}) > 1
            }
        sizes = group.groupby(["eps", "data"], dropna=False)["batch_size"].nunique()
        differing |= {"batch_size"} if (sizes > 1).any() else set()
        for cell, parameters in zip(group["cell"], told_apart(group), strict=True):
            shown = (differing | _goals(parameters)) & set(parameters)
            shown -= {name for name in _PLAIN_AT_ONE if parameters.get(name) == 1}
            words = [_in_words(name, parameters[name]) for name in sorted(shown)]
            names[str(cell)] = ", ".join([str(attack), *words])
    for cell in cells.loc[cells["auto"], "cell"] if "auto" in cells else ():
        names[str(cell)] += " (auto)"
    return names


def told_apart(cells: pd.DataFrame) -> list[dict[str, object]]:
    """Return what may tell each cell from its variants, by name: its parameters and its batch size."""
    pairs = zip(cells["parameters"], cells["batch_size"], strict=True)
    return [{**parameters, "batch_size": size} for parameters, size in pairs]


def _goals(parameters: Mapping[str, object]) -> set[str]:
    """Return the parameters that say that an attack wants more, or less, than any other label."""
    return {
        name for name in ("goal", "source", "targeted") if parameters.get(name, "none") != "none"
    }


def _in_words(parameter: str, value: object) -> str:
    if parameter == "goal":
        return str(value).replace("-", " ")
    name = parameter.replace("_", " ")
    if parameter == "targeted" and value == "none":
        return "untargeted"
    if value is False or value == "none":
        return f"no {name}"
    return name if value is True else f"{name} {value}"


def attack_asked(name: str, parameters: Mapping[str, object], classes: Sequence[str] = ()) -> str:
    """Return an attack as it was asked for: its name and the parameters given, `sparsefool, lambda 2`.

    Args:
        name: of the attack.
        parameters: those that were given.
        classes: names of the model's classes, for parameters that name one by its number.
    """
    words = {
        given: class_name(int(str(value)), classes)
        if given in ("targeted", "source") and whole(str(value)) is not None
        else value
        for given, value in parameters.items()
    }
    return ", ".join([name, *(_in_words(given, words[given]) for given in sorted(words))])


def class_name(label: int, classes: Sequence[str]) -> str:
    """Return the name of a class, or its number where names are not known; a label of -1 `abstains`."""
    return "abstains" if label < 0 else classes[label] if label < len(classes) else str(label)


def label_of(row: Mapping[Any, Any], which: str, classes: Sequence[str]) -> str:
    """Return what a model said: class and confidence; `which` is `clean` or `adv`."""
    label, confidence = row[f"{which}_label"], row[f"{which}_confidence"]
    if formatting.missing(label):
        return "no answer"
    name = class_name(int(label), classes)
    return name if formatting.missing(confidence) else f"{name} ({100 * confidence:.0f} %)"


def threat_of(row: Any) -> str:
    """Return the threat of a row of a frame with `norm` and `eps_text`."""
    return formatting.threat(row.norm, row.eps_text)


def surface_column(found: pd.DataFrame) -> dict[Column, Say]:
    """Return the column of surfaces; none where every model is attacked as it is."""
    plain = set(found["surface"]) <= PLAIN_SURFACES
    return {} if plain else {Column("surface"): "surface"}


def clean_accuracy(row: Any) -> str:
    """Return the clean accuracy of a row of the headline with its interval."""
    if formatting.missing(row.clean_accuracy):
        return formatting.NONE
    low, high = wilson(round(row.clean_accuracy * row.n), int(row.n))
    return formatting.rate(row.clean_accuracy, low, high)


def robust_accuracy(row: Any, *, marked: bool = False) -> str:
    """Return the robust accuracy of a row of the headline with its interval.

    Args:
        row: of the headline.
        marked: whether marks say that it may be too high.
    """
    if formatting.missing(row.robust_accuracy):
        return "INVALID"
    figure = formatting.rate(row.robust_accuracy, row.low, row.high)
    if not marked:
        return figure
    flag = formatting.text(row.flag)
    partial = PARTIAL if row.attacks < row.planned else ""
    one_draw = BY_ONE_DRAW if ONE_DRAW in flag or WITHOUT_NOISE in flag else ""
    against = {"doubtful": DOUBTFUL, "invalid": REFUTED}.get(getattr(row, "trust", ""), "")
    return figure + partial + one_draw + against


def spoken_against(headline: pd.DataFrame, norm: str) -> dict[str, str]:
    """Return by model `invalid` or `doubtful`, where that is the verdict on a figure of it in a norm.

    Args:
        headline: with verdicts.
        norm: of the threats.
    """
    of_norm = headline[headline["norm"] == norm]
    if "trust" not in of_norm:  # a headline of figures alone
        return {}
    return {
        str(model): verdict
        for verdict in ("doubtful", "invalid")  # the graver one stays
        for model in of_norm.loc[of_norm["trust"] == verdict, "model"]
    }


def mark_notes(texts: Iterable[str]) -> list[str]:
    """Return what the marks in some texts mean, a line each."""
    found = "".join(texts)
    meanings = {
        PARTIAL: f"{PARTIAL} some attacks have no result that counts: ours may be too high.",
        BY_ONE_DRAW: f"{BY_ONE_DRAW} {ONE_DRAW}, or without noise: ours may be too high.",
        DOUBTFUL: f"{DOUBTFUL} doubtful by the checks of this run: it may be too high.",
        REFUTED: f"{REFUTED} invalid: a check about it failed.",
    }
    return [meaning for mark, meaning in meanings.items() if mark in found]

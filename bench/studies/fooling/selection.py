"""Which networks and which cells of a run the figures of this study are about, and what was published."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from bench.attacks.catalogue import every_parameter, row_of
from bench.errors import SpecError
from bench.measure.published import read_published
from bench.report.drawing import Look, look
from bench.spec import number
from bench.store.results import Results

#: The networks of the study in its order, as our models are called, with their names in its tables.
PUBLISHED_NAMES = {
    "resnet50": "resnet50",
    "densenet169": "densenet169",
    "mobilenetv2": "mobilenet-v2",
    "inceptionv3": "inception-v3",
}
RESNET, DENSENET, MOBILENET, INCEPTION = PUBLISHED_NAMES
#: The data set of photographs of a thousand classes; its models are in figures of their own.
PHOTOGRAPHS = "natural"

_SLIM = "-slim"


def architecture(model: str) -> str:
    """Return the architecture of a model by its name: `resnet50` of `cifar10/resnet50-slim`."""
    return model.rpartition("/")[2].removesuffix(_SLIM)


def models_in_order(results: Results) -> list[str]:
    """Return the models of a run: one of each architecture in the study's order, then all others.

    Of a full and a slim network the slim one comes first, since more attacks are made on it.
    """
    there = [str(known["model"]) for known in results.models if known["data"] != PHOTOGRAPHS]
    first = [
        next((model for model in sorted(there, key=_full) if architecture(model) == name), None)
        for name in PUBLISHED_NAMES
    ]
    return list(dict.fromkeys([model for model in first if model is not None] + there))


def _full(model: str) -> bool:
    return not model.endswith(_SLIM)


def look_of(results: Results, model: str) -> Look:
    """Return what the lines of a model look like, the same in all figures."""
    return look(models_in_order(results).index(model))


def models_with(results: Results, cells: pd.DataFrame) -> list[str]:
    """Return the models that have some of these cells, in order."""
    there = set(cells["model"])
    return [model for model in models_in_order(results) if model in there]


def networks(results: Results, cells: pd.DataFrame) -> list[str]:
    """Return the models that a figure with a panel each shows: at most four, of those with cells."""
    return models_with(results, cells)[: len(PUBLISHED_NAMES)]


def network(results: Results, cells: pd.DataFrame, wanted: str) -> str | None:
    """Return the model with the wanted architecture, or else the one with most cells; None without any."""
    there = models_with(results, cells)
    counts = cells["model"].value_counts()
    return max(
        there, key=lambda model: (architecture(model) == wanted, counts[model]), default=None
    )


def find_cells(
    results: Results, attack: str, wanted: Mapping[str, Any], *, photographs: bool = False
) -> pd.DataFrame:
    """Return the finished cells of an attack, those of the study's protocol once.

    A cell whose images are attacked one at a time repeats another one for its time alone; the one of the
    largest batch is kept.

    Args:
        results: of the run.
        attack: its name.
        wanted: what columns of the cells or parameters of the attack must be; amounts in any spelling.
        photographs: whether on photographs, or on all other images.

    Returns:
        Rows of `Results.cells`, each parameter a column more.
    """
    cells = results.cells
    cells = cells[(cells["attack"] == attack) & (cells["status"] == "done")]
    cells = cells[(cells["data"] == PHOTOGRAPHS) == photographs]
    given = [every_parameter(attack, of_cell) for of_cell in cells["parameters"]]
    names = [name for name in row_of(attack).parameters if name not in cells]
    cells = cells.join(pd.DataFrame(given, index=cells.index, columns=names, dtype=object))
    for name, value in wanted.items():
        there = [same_value(found, value) for found in cells[name]]
        cells = cells[pd.Series(there, index=cells.index, dtype=bool)]
    alike = ["model", "norm", "eps", "targeted", *names]
    if "batch_size" in cells:
        cells = cells.sort_values("batch_size", ascending=False, kind="stable")
    return cells.drop_duplicates(alike).sort_index()


def same_value(found: Any, wanted: Any) -> bool:
    """Return whether two values of a parameter are the same, amounts in any spelling."""
    if isinstance(found, bool) or isinstance(wanted, bool) or wanted is None:
        return bool(found is wanted)
    try:
        return abs(number(found) - number(wanted)) < 1e-9
    except SpecError:  # words
        return bool(found == wanted)


@cache
def published() -> pd.DataFrame:
    """Return the figures of the study's tables; nothing in them may be changed."""
    return read_published(Path(__file__).with_name("published.csv"))


def published_figure(
    table: str, model: str, metric: str, eps: str | None = None, attack: str | None = None
) -> float:
    """Return a figure of a published table as printed; NaN where there is none.

    Args:
        table: its number.
        model: ours, by whose architecture it is found.
        metric: of `bench.measure.published_file.METRICS`.
        eps: the radius as printed, where a table has several.
        attack: as the file calls it, where a table has several.
    """
    figures = published()
    chosen = (figures["table"] == table) & (figures["metric"] == metric)
    chosen &= figures["model"] == PUBLISHED_NAMES.get(architecture(model), "")
    if eps is not None:
        chosen &= figures["eps"] == eps
    if attack is not None:
        chosen &= figures["attack"] == attack
    found = figures.loc[chosen, "value"]
    return float(found.iloc[0]) if len(found) else float("nan")


def counted(numbers: Any) -> str:
    """Return how many images each of several figures is of: `180`, or `176 to 190` where they differ."""
    known = [int(one) for one in numbers]
    return f"{known[0]}" if len(set(known)) == 1 else f"{min(known)} to {max(known)}"

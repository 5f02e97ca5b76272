"""The file of a study's published figures, read and checked. Imports no pandas: plug-ins are checked at once."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import SpecError
from bench.spec import NORMS, number

#: The columns of a file of published figures.
COLUMNS = (
    "study", "table", "dataset", "model", "attack", "norm", "eps", "metric", "value", "unit", "note",
)  # fmt: skip

_SHARE = ("%", "fraction")
_TIMES = ("ms", "s")
_LOSS, _LAYERS = ("nats",), ("layers",)

#: The metrics that a figure may be of, each with the units that its value may be in.
METRICS: Mapping[str, Sequence[str]] = {
    "accuracy": _SHARE, "mean_accuracy": _SHARE, "max_accuracy": _SHARE, "f_score": _SHARE,
    "critical_eps": NORMS,
    "fooling_rate": _SHARE, "fooling_rate_on_fit_set": _SHARE, "mean_confidence": _SHARE,
    "mean_l2": ("l2",), "empirical_robustness": NORMS, "relative_robustness": ("ratio",),
    "median_pixels_perturbed": _SHARE, "mean_iterations": ("iterations",), "iterations": ("iterations",),
    "time_per_sample": _TIMES, "time_per_iteration": _TIMES,
    "fooling_rate_reduction": _SHARE, "mean_l2_reduction": _SHARE,
    "empirical_robustness_reduction": _SHARE, "parameters": ("parameters",),
    "train_accuracy": _SHARE, "train_loss": _LOSS, "validation_loss": _LOSS, "importance": _SHARE,
    "convolutions": _LAYERS, "pools": _LAYERS, "hidden_layers": _LAYERS, "depth": _LAYERS,
    "map_side": ("pixels",), "map_channels": ("channels",), "features": ("features",),
}  # fmt: skip


def read_figures(path: Path) -> list[dict[str, str]]:
    """Return the lines of a file of published figures, checked, all as text.

    Raises:
        SpecError: the file is empty or no CSV, or a line of it is wrong; the message names line and
            column, and says what to write.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _figures(path, csv.reader(file, strict=True))
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not a UTF-8 text file; save it as one") from error
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror or error}; it must be a readable file") from error
    except csv.Error as error:
        raise SpecError(f"{path}: broken CSV: {error}; quote a text that has commas") from error


def _figures(path: Path, lines: Any) -> list[dict[str, str]]:
    head = next((line for line in lines if line), None)
    if head is None:
        raise SpecError(f"{path}: an empty file; its first line is {','.join(COLUMNS)}")
    _check_columns(path, head)
    found = []
    for line in lines:
        if not line:
            continue
        where = f"{path}, line {lines.line_num}"
        if len(line) != len(COLUMNS):
            raise SpecError(
                f"{where}: {len(line)} fields, but there are {len(COLUMNS)} columns; quote a text that "
                "has commas, and leave a field that says nothing empty"
            )
        figure = dict(zip(COLUMNS, line, strict=True))
        _check(where, figure)
        found.append(figure)
    if not found:
        raise SpecError(f"{path}: no published figure; write a line for each")
    return found


def _check_columns(path: Path, head: Sequence[str]) -> None:
    """Raise unless the first line names the columns in their order."""
    if tuple(head) == COLUMNS:
        return
    missing = [name for name in COLUMNS if name not in head]
    twice = [name for name in COLUMNS if head.count(name) > 1]
    other = [name for name in head if name not in COLUMNS]
    if missing or other:
        said = [f"without {', '.join(missing)}"] if missing else []
        said += [f"with {', '.join(map(repr, other))}"] if other else []
        why = f"it is {' and '.join(said)}"
    elif twice:
        why = f"it has {', '.join(twice)} more than once"
    else:
        first = next(
            (name, wanted) for name, wanted in zip(head, COLUMNS, strict=True) if name != wanted
        )
        why = f"they are in another order: {first[0]} stands where {first[1]} belongs"
    raise SpecError(f"{path}: published figures need the columns {', '.join(COLUMNS)}; {why}")


def _check(where: str, figure: Mapping[str, str]) -> None:
    """Raise if a figure cannot be read: its norm, eps, metric, unit or value."""
    norm, metric, unit = figure["norm"], figure["metric"], figure["unit"]
    if norm and norm not in NORMS:
        raise SpecError(f"{where}: norm: {norm!r}; write {', '.join(NORMS)}, or leave it empty")
    if metric not in METRICS:
        raise SpecError(f"{where}: metric: {metric!r}; write {', '.join(METRICS)}")
    if unit not in METRICS[metric]:
        raise SpecError(
            f"{where}: unit: {unit!r}; for the metric {metric} write {' or '.join(METRICS[metric])}"
        )
    number(figure["value"], f"{where}: value")
    if figure["eps"]:
        number(figure["eps"], f"{where}: eps")

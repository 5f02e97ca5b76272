"""Each published figure of the study beside ours: which of our cells it is of, and which figure of that cell.

Ours is a figure of `bench.measure.perturbations`, times a scale that brings it to the printed unit. Rows
marked `further` stand beside no printed figure of their own, but help to read one: the same attack on the
full width, under the other loss, by the other definition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.attacks.catalogue import every_parameter
from bench.measure.intervals import figure_interval
from bench.measure.outcomes import Outcomes
from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.measure.perturbations import image_values
from bench.measure.published import CLEAN
from bench.measure.statistics import wilson
from bench.report import formatting
from bench.report.measured import Measured
from bench.spec import ITSELF, number
from bench.store.results import Results
from bench.studies.fooling.architectures import parameter_count

DATA = "cifar10"
#: Our networks that repeat a published one: the slim one, and that of the published width.
NETWORKS = {
    "resnet50": ("resnet50-slim", "resnet50"),
    "densenet169": ("densenet169-slim", "densenet169"),
    "mobilenet-v2": ("mobilenetv2-slim", "mobilenetv2"),
    "inception-v3": ("inceptionv3-slim", "inceptionv3"),
}
FULL = "full width"
#: The parameters by which an attack of ours is the study's; its image counts and fits are larger.
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "fgsm": {"loss": "logit"},
    "deepfool": {"clip": "end", "overshoot": "0.01"},
    "sparsefool": {"lambda": "3", "box": "1"},
    "one-pixel": {"population": "100", "generations": "50", "stop": "0.1", "targeted": "none"},
    "universal": {},
}
#: The study calls SparseFool an l1 attack; the harness, by what it makes small, an l0 attack.
_NORMS = {"sparsefool": "l0"}
#: Radii of universal perturbations in the study's units, of normalised images, and in those of [0, 1].
EPS = {("universal", "l2", "15"): "3", ("universal", "linf", "0.5"): "0.1"}
_FROM = "universal-from-"
#: A search is timed in its one cell: what it does at once are the candidates of an image.
_SEARCH = "one-pixel"

#: The figure that each metric is, and how many of the printed unit one of it is.
_FIGURES: Mapping[str, tuple[str, float]] = {
    "fooling_rate": ("{before}fooling", 100),
    "mean_confidence": ("confidence_fooled", 100),
    "mean_l2": ("{before}delta_l2", 1),
    "empirical_robustness": ("{before}delta_{norm}", 1),
    "relative_robustness": ("{before}rho_centred_{norm}", 1),
    "median_pixels_perturbed": ("median_values", 100),
    "mean_iterations": ("iterations", 1),
    "time_per_sample": ("seconds", 1),
    "fooling_rate_reduction": ("fooling_reduction", 100),
    "mean_l2_reduction": ("delta_reduction_l2", 100),
    "empirical_robustness_reduction": ("delta_reduction_{norm}", 100),
    "fooling_rate_on_fit_set": ("fit_fooling", 100),
    "iterations": ("fit_passes", 1),
    "time_per_iteration": ("fit_seconds", 1),  # of all passes: divided by these
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """What of ours stands in a table of the study and is not what it printed there.

    Attributes:
        called: what it is, as a row of a table says.
        tables: that have it.
        figures: by metric, in place of `_FIGURES`; of other metrics there is none. None for the same.
        settings: parameters in place of those of `_SETTINGS`.
    """

    called: str = ""
    tables: tuple[str, ...] = ()
    figures: Mapping[str, tuple[str, float]] | None = None
    settings: Mapping[str, str] | None = None

    def of(self, figure: Mapping[Any, Any]) -> bool:
        """Return whether it stands beside a published figure."""
        asked = self.figures is None or figure["metric"] in self.figures
        return figure["table"] in self.tables and figure["attack"] != CLEAN and asked


FURTHER = (
    Further(called="by cross-entropy", tables=("12.1", "12.2"), settings={"loss": "ce"}),
    Further(called="all tried", tables=("12.1", "12.7"),
            figures={"mean_confidence": ("confidence_tried", 100)}),
    Further(called="clipped at every step", tables=("12.3", "12.5"),
            settings={"clip": "steps", "overshoot": "0.01"}),
    Further(called="by the whole image", tables=("12.3", "12.4", "12.5"),
            figures={"relative_robustness": ("{before}rho_{norm}", 1)}),
    Further(called="pixels, not values", tables=("12.6",),
            figures={"median_pixels_perturbed": ("median_pixels", 100)}),
    Further(called="clipped", tables=("12.8", "12.9"), figures={"fooling_rate": ("fooling", 100)}),
)  # fmt: skip

COLUMNS = (
    "table", "data", "model", "attack", "norm", "eps_published", "eps", "published", "ours", "low",
    "high", "n", "cells", "planned", "note", "metric", "figure", "cell", "scale", "unit", "printed",
    "our_model", "further",
)  # fmt: skip
_NAN = float("nan")


def beside(results: Results, measured: Measured, published: pd.DataFrame) -> pd.DataFrame:
    """Return the published figures beside ours.

    Args:
        results: the run.
        measured: its figures.
        published: of `bench.measure.published.read_published`.

    Returns:
        A row a published figure, in the order of the file, and behind it its further ones: `table, data,
        model, attack, norm, eps_published, eps` (texts; eps in pixels of [0, 1]), `published, ours, low,
        high` (95 %; all in the printed unit), `n` (images), `cells, planned, note, metric`, `figure`
        (column of `bench.measure.perturbations.perturbations`; empty of clean accuracy and parameters),
        `cell` (its key; empty where none was planned), `scale` (printed units of one of the column),
        `unit, printed` (the text), `our_model` (whole name) and `further` (what a further row is; empty
        of the row that counts). A further row of another setting or definition has no published figure.
    """
    run = _Run(results, measured)
    rows = [row for figure in published.to_dict("records") for row in _beside_one(figure, run)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a cell is looked for by; `timed` means that its images were attacked one by one."""

    model: str
    attack: str
    norm: str
    radius: float | None
    parameters: Mapping[str, str]
    timed: bool


class _Run:
    """The cells of a run, with what is known of each."""

    def __init__(self, results: Results, measured: Measured) -> None:
        self.planned: dict[tuple[str, ...], list[dict[Any, Any]]] = {}
        for cell in results.cells.to_dict("records"):
            key = (cell["model"], cell["attack"], cell["norm"])
            given = every_parameter(cell["attack"], cell["parameters"])
            self.planned.setdefault(key, []).append({**cell, "parameters": given})
        self.batch_sizes = dict(
            zip(results.cells["cell"], results.cells["batch_size"], strict=True)
        )
        found = measured.perturbations
        self.figures: dict[str, dict[str, Any]] = {
            str(row["cell"]): {str(name): value for name, value in row.items()}
            for row in found.to_dict("records")
        }
        self.outcomes: Outcomes = measured.outcomes
        self.values = dict(tuple(image_values(self.outcomes).groupby("cell", sort=False)))

    def cell(self, asked: _Asked) -> str:
        """Return the key of the planned cell of an attack; empty if there is none.

        Of several, as where a suite varies the size of a fit, the first is the study's own. What was
        timed image by image is of no other cell than that, and the other way round where both are there.
        """
        fitting = [
            cell
            for cell in self.planned.get((asked.model, asked.attack, asked.norm), [])
            if (asked.radius is None or cell["radius"] == asked.radius)
            and all(
                str(cell["parameters"].get(name)) == value
                for name, value in asked.parameters.items()
            )
        ]
        together = [cell for cell in fitting if cell["batch_size"] > 1]
        single = [cell for cell in fitting if cell["batch_size"] == 1]
        chosen = single if asked.timed else together or single
        return str(chosen[0]["cell"]) if chosen else ""

    def interval(self, cell: str, figure: str) -> tuple[float, float, int]:
        """Return the 95 % interval of a figure of a done cell, and of how many images it is.

        What was measured once has none: the time of a fit, or of images attacked together.
        """
        kind = PERTURBATION_FIGURES[figure].kind
        if figure == "seconds" and self.batch_sizes[cell] > 1:
            return _NAN, _NAN, len(self.values[cell])
        if not kind.endswith("of fit"):
            values = self.values[cell]
            return *figure_interval(values, figure), len(values)
        given = self.figures[cell]
        n = 0 if formatting.missing(given["fit_images"]) else int(given["fit_images"])
        if kind == "share of fit":
            return *wilson(round(given[figure] * n), n), n
        return _NAN, _NAN, n


def _beside_one(figure: Mapping[Any, Any], run: _Run) -> Iterator[dict[str, Any]]:
    """Yield the row of one published figure, and its further ones."""
    slim, full = NETWORKS[figure["model"]]
    if figure["metric"] == "parameters":
        yield _row(figure, full, "", _counted(figure["model"], figure["dataset"]))
        if figure["dataset"] == DATA:
            yield _row(figure, slim, "slim", _counted(figure["model"], DATA, slim=True))
        return
    for network, width in ((slim, ""), (full, FULL)):
        if figure["attack"] == CLEAN:
            found = _accuracy(run.outcomes.clean.get(f"{DATA}/{network}"))
        else:
            found = _attacked(figure, run, network, Further())
        if not width or found["planned"] or found["n"]:
            yield _row(figure, network, width, found)
        for more in FURTHER:
            if more.of(figure):
                found = _attacked(figure, run, network, more)
                if found["planned"]:
                    called = ", ".join(filter(None, (width, more.called)))
                    yield _row({**figure, "value": _NAN, "printed": ""}, network, called, found)


def _row(
    figure: Mapping[Any, Any], network: str, further: str, found: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of the comparison."""
    eps = figure["eps"]
    return {
        "table": figure["table"], "data": figure["dataset"], "model": figure["model"],
        "attack": figure["attack"], "norm": figure["norm"], "eps_published": eps,
        "eps": EPS.get((_attack(figure)[0], figure["norm"], eps), eps),
        "published": figure["value"], "note": figure["note"], "metric": figure["metric"],
        "unit": figure["unit"], "printed": figure["printed"],
        "our_model": f"{figure['dataset']}/{network}", "further": further, **found,
    }  # fmt: skip


def _attack(figure: Mapping[Any, Any]) -> tuple[str, str]:
    """Return the attack of a published figure, and the published model that it was fitted on."""
    attack = str(figure["attack"])
    if attack.startswith(_FROM):
        return "universal", attack.removeprefix(_FROM)
    return attack, str(figure["model"])


def _attacked(figure: Mapping[Any, Any], run: _Run, network: str, more: Further) -> dict[str, Any]:
    """Return our figure of an attack on one of our networks, with its interval."""
    attack, donor = _attack(figure)
    eps = EPS.get((attack, figure["norm"], figure["eps"]), figure["eps"])
    settings = dict(_SETTINGS[attack] if more.settings is None else more.settings)
    if attack == "universal":
        other = f"{DATA}/{NETWORKS[donor][0]}"
        settings["fitted_on"] = ITSELF if donor == figure["model"] else other
    cell = run.cell(
        _Asked(
            model=f"{DATA}/{network}",
            attack=attack,
            norm=_NORMS.get(attack, figure["norm"]),
            radius=number(eps) if eps else None,
            parameters=settings,
            timed=figure["metric"] == "time_per_sample" and attack != _SEARCH,
        )
    )
    name, scale = (more.figures or _FIGURES)[figure["metric"]]
    # The study adds a universal perturbation without a clip, and fits it so.
    unclipped = attack == "universal" or figure["note"].startswith("unclipped")
    before = "unclipped_" if unclipped else ""
    name = name.format(before=before, norm=figure["norm"])
    scale *= 1000 if figure["unit"] == "ms" else 1
    given = run.figures.get(cell)
    if given is None or formatting.missing(given[name]):
        nothing = {"ours": _NAN, "low": _NAN, "high": _NAN, "n": 0, "cells": 0}
        return nothing | {"planned": int(bool(cell)), "figure": name, "cell": cell, "scale": scale}
    if figure["metric"] == "time_per_iteration":
        scale /= given["fit_passes"]
    low, high, n = run.interval(cell, name)
    return {
        "ours": scale * given[name], "low": scale * low, "high": scale * high, "n": n,
        "cells": 1, "planned": 1, "figure": name, "cell": cell, "scale": scale,
    }  # fmt: skip


_NO_CELL = {"cells": 0, "planned": 0, "figure": "", "cell": "", "scale": 1.0}


def _accuracy(right: pd.Series[bool] | None) -> dict[str, Any]:
    """Return our accuracy on clean images in percent, with its Wilson interval."""
    if right is None:
        return {"ours": _NAN, "low": _NAN, "high": _NAN, "n": 0, **_NO_CELL}
    low, high = wilson(int(right.sum()), len(right))
    ours = {"ours": 100 * float(right.mean()), "low": 100 * low, "high": 100 * high}
    return {**ours, "n": len(right), **_NO_CELL, "scale": 100.0}


def _counted(model: str, data: str, *, slim: bool = False) -> dict[str, Any]:
    """Return how many parameters one of our networks has: an exact number."""
    count = float(parameter_count(model, data, slim=slim))
    return {"ours": count, "low": count, "high": count, "n": 0, **_NO_CELL}

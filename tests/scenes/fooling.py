"""A run of the study of fooling: every cell that its suite asks for, each with figures of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import build
import numpy as np
import pandas as pd
from build import cell

from bench.runner.suite import load_suite
from bench.spec import AttackRequest
from bench.store.results import Results

PUBLISHED = Path(__file__).parents[2] / "bench" / "studies" / "fooling" / "published.csv"
IMAGES = 20
#: The size of the study's own fits; others are of a sweep.
FIT = next(
    dict(request.spec.parameters)["fit"]
    for request in load_suite("fooling").attacks
    if request.spec.title() == "universal linf 0.1"
)
#: Images that every model gets wrong.
WRONG = (0, 1)


def results(*more: build.PlantedCell, leave_out: Sequence[str] = ()) -> Results:
    """Return the results of a run of the study in which every cell is done.

    Args:
        more: further cells.
        leave_out: models that the run does not have.
    """
    suite = load_suite("fooling")
    titles = [model for model in suite.models if model.name.startswith("cifar10/")]
    cells = [
        _planted(model.title(), request, turn)
        for model in titles if model.title() not in leave_out
        for turn, request in enumerate(suite.attacks)
        if request.is_on(model)
        and dict(request.spec.parameters).get("fitted_on") != model.title()
    ]  # fmt: skip
    cells += more
    return build.results(
        [_numbered(one, turn) for turn, one in enumerate(cells)],
        images=IMAGES, wrong={one.model: WRONG for one in cells},
        models={
            one.model: {"data": one.model.partition("/")[0], "clean_accuracy": 0.9} for one in cells
        },
        suite="fooling", title="Fooling",
    )  # fmt: skip


def rows_of(results: Results, model: str, attack: str, **wanted: object) -> pd.DataFrame:
    """Return the rows of the images attacked of the one cell of these columns and parameters."""
    columns = ("norm", "eps", "batch_size")
    found = [
        one
        for one in results.cells.to_dict("records")
        if (one["model"], one["attack"]) == (model, attack)
        and all(
            str((one if name in columns else one["parameters"]).get(name)) == str(value)
            for name, value in {"batch_size": 100, **wanted}.items()
        )
    ]
    assert len(found) == 1, [one["parameters"] for one in found]
    rows = results.rows
    return rows[(rows["cell"] == found[0]["cell"]) & rows["correct"]]


def _planted(model: str, request: AttackRequest, turn: int) -> build.PlantedCell:
    spec = request.spec
    parameters = dict(spec.parameters)
    fit = {"images": 100, "passes": 1 + turn % 4, "fooling": 0.5 + turn % 50 / 100, "seconds": 3.0}
    return cell(
        model, spec.name, spec.eps, (), norm=spec.norm, toolkit="native", parameters=parameters,
        batch_size=request.batch_size or 100, fit=fit if "fit" in parameters else None,
    )  # fmt: skip


def _numbered(one: build.PlantedCell, turn: int) -> build.PlantedCell:
    """Return a cell whose images have sizes that no other cell has."""
    rng = np.random.default_rng(turn)
    size = rng.uniform(0.1, 1, IMAGES) * (1 + turn)
    whole = rng.uniform(10, 30, IMAGES)
    right = ~np.isin(np.arange(IMAGES), WRONG)
    fooled = right & (rng.random(IMAGES) < 0.3 + turn % 7 / 10)
    columns = {
        "success": fooled, "adv_confidence": np.where(right, rng.uniform(0.2, 1, IMAGES), np.nan),
        "adv_label": np.where(right, fooled.astype(int).astype(object), None),
        "l2": size, "linf": size / 20, "clean_l2": whole, "clean_linf": whole / 30,
        "centred_l2": whole / 2, "centred_linf": whole / 55,
        "changed_pixels": size / 200, "changed_values": size / 500,
        "iterations": rng.integers(1, 9, IMAGES), "seconds": size / 10,
    }  # fmt: skip
    # Attacks that clip only at the end: larger before, and some more fooled.
    ends = one.attack in ("fgsm", "universal") or one.parameters.get("clip") == "end"
    more, larger = fooled | (rng.random(IMAGES) < 0.6), size * rng.uniform(1.1, 1.5, IMAGES)
    columns |= {
        "unclipped_label": np.where(right & ends, more.astype(int).astype(object), None),
        "unclipped_l2": np.where(ends, larger, np.nan),
        "unclipped_linf": np.where(ends, larger / 20, np.nan),
    }  # fmt: skip
    broken = frozenset(np.flatnonzero(fooled).tolist())
    return build.replace(one, columns=columns, broken=broken)

"""The attack that is made where checks find that the others may have been misled, though nobody asked for it.

It is a cell like any other: planned, computed, stored and counted; the log of a run marks it as `auto`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.attacks.catalogue import resolve, row_of
from bench.measure.threats import same_radius
from bench.runner.checked_run import CheckedRun, RunModel
from bench.runner.plan import Plan
from bench.runner.task import whole_surface
from bench.spec import Cell, ImageSet
from bench.store.identity import cell_key
from bench.trust.checks.registry import Level
from bench.trust.headline_trust import REMEDY, about, cannot_be_overstated

Row = Mapping[Any, Any]


def rows_to_attack(run: CheckedRun, findings: pd.DataFrame, level: Level) -> list[Row]:
    """Return the rows of the headline whose attacks may have been misled; at level `full`, all that may be too high.

    Not those that the suite attacks so itself, nor those near 0.

    Args:
        run: with its models.
        findings: of `bench.trust.run_findings.run_findings`.
        level: of the run's checks.
    """
    if level == "full":
        return every_row_to_attack(run)
    masked = findings[findings["masks"] & findings["status"].isin(["warn", "fail"])]
    return [row for row in every_row_to_attack(run) if len(about(masked, row))]


def every_row_to_attack(run: CheckedRun) -> list[Row]:
    """Return the rows of the headline that may be too high, but those that the suite attacks so itself."""
    near_zero = run.bounds["verdict.near-zero"]
    return [
        row
        for row in run.headline.to_dict("records")
        if row["model"] in run.models
        and row["norm"] in row_of(REMEDY).norms
        and not cannot_be_overstated(row, near_zero)
        and not _asked_for(run, row)
    ]


def _asked_for(run: CheckedRun, row: Row) -> bool:
    cells = run.cells_at(row)
    return bool(
        ((cells["attack"] == REMEDY) & same_radius(cells["radius"], float(row["eps"]))).any()
    )


def plan_of(plan: Plan, run: CheckedRun, rows: Sequence[Row], passes: int | None) -> Plan:
    """Return a plan with the cells of the attack on some rows of the headline, and nothing else.

    Args:
        plan: of the run, whose models it has.
        run: the run.
        rows: those to attack.
        passes: forward and backward passes for each image; None for as many as the attack takes by itself.
    """
    planned = list(_cells(run, rows, passes))
    return dataclasses.replace(
        plan,
        cells={cell_key(cell): cell for cell, _ in planned},
        images={cell.images: model.images.first(cell.images.count) for cell, model in planned},
        sources={},
        substitutes={},
    )


def _cells(
    run: CheckedRun, rows: Sequence[Row], passes: int | None
) -> Iterator[tuple[Cell, RunModel]]:
    """Yield the cell for each row, on the images that its figure is of, with its model."""
    parameters = {} if passes is None else {"passes": passes}
    protocol = run.results.protocol
    checksums: dict[ImageSet, str] = {}
    for row in rows:
        model, cells = run.models[str(row["model"])], run.cells_at(row)
        counted = cells[cells["shows_robust"] & (cells["flag"] == "")]
        count = int(counted["images"].min()) if len(counted) else int(row["n"])
        sizes = counted["batch_size"] if len(counted) else run.results.cells["batch_size"]
        images = dataclasses.replace(model.attacked, count=min(count, len(model.images)))
        if images not in checksums:
            checksums[images] = model.images.first(images.count).checksum()
        cell = Cell(
            model=model.request,
            fingerprint=model.fingerprint,
            attack=resolve(REMEDY, row["norm"], str(row["eps_text"]), parameters),
            toolkit="native",
            surface=whole_surface(model.adapter),
            images=images,
            checksum=checksums[images],
            seed=int(protocol["seed"]),
            batch_size=int(sizes.min()),
        )
        yield cell, model

"""What checks of stored rows find in planted runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import build

import bench
from bench.measure.outcomes import Outcomes
from bench.trust.checks.registry import Check

#: PGD as the attack table has it, at 0.1.
PGD = {"steps": 10, "step_size": "1/40", "random_start": True, "restarts": 1, "eot": 1}

#: A surface that stands in for a model.
SURROGATE = "soft-knn"


def pgd(eps: str, broken: Any, **more: Any) -> build.PlantedCell:
    """Return PGD that broke some images of model `m` within a radius; `more` as of `build.cell`."""
    return build.cell("m", "pgd", eps, broken, **{"parameters": PGD, **more})


def fgsm(eps: str, broken: Any, **more: Any) -> build.PlantedCell:
    """Return FGSM that broke some images of model `m` within a radius; `more` as of `build.cell`."""
    return build.cell("m", "fgsm", eps, broken, **{"parameters": {"eot": 1}, **more})


def asking(eps: str, broken: Any, **more: Any) -> build.PlantedCell:
    """Return Square, likewise."""
    return build.cell("m", "square", eps, broken, surface="predict", access="score", **more)


def found(check: Check, *cells: build.PlantedCell, **of_results: Any) -> list[bench.Finding]:
    """Return what a check finds in a run of some cells; `of_results` as of `build.results`."""
    results = build.results(cells, **of_results)
    return check.findings(results if check.needs == "cells" else Outcomes(results))


def one(check: Check, *cells: build.PlantedCell, **of_results: Any) -> bench.Finding:
    """Return the one finding of a check."""
    (finding,) = found(check, *cells, **of_results)
    return finding


def each(check: Check, *models: Sequence[build.PlantedCell], **of_results: Any) -> list[str]:
    """Return what a check finds of each of several models of one run, `pass` where it finds nothing.

    Each is given by its cells; one run of several models is made faster than several runs.
    """
    cells = [
        dataclasses.replace(cell, model=f"m{turn}")
        for turn, own in enumerate(models)
        for cell in own
    ]
    statuses = {
        finding.model: finding.status for finding in found(check, *cells, **of_results)
    }  # fmt: skip
    assert statuses != {"": "not applicable"}
    return [statuses.get(f"m{turn}", "pass") for turn in range(len(models))]

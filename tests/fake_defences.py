"""Synthetic results of the study of defences: who stands under what is planted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fake_local import _PROTOCOL, _NoPictures
from planted_results import cell, claim, planted

from bench.spec import COLUMNS
from bench.store.results import Results

PUBLISHED = Path(__file__).parent.parent / "bench" / "studies" / "defences" / "published.csv"
IMAGES = 200
SMOOTHED = "cifar10/randomized-smoothing"
THREATS = (("linf", "0.03"), ("l2", "0.045"), ("l2", "0.5"))
#: How many of the images fall to PGD in linf, to FGSM three quarters of them, in l2 0.9 of them; of the
#: smoothed model through each surface.
FALLEN = {
    "cifar10/basic": {"network": 180},
    "cifar10/noisy": {"network": 140},
    "cifar10/pgd-l2-at": {"network": 120},
    "cifar10/pgd-linf-at": {"network": 100},
    "cifar10/mixed-at": {"network": 110},
    SMOOTHED: {"one-draw": 60, "expected": 110, "base": 40},
}
SIGMAS = {f"{SMOOTHED}-sigma=0.12": 0.12, SMOOTHED: 0.25, f"{SMOOTHED}-sigma=0.5": 0.5}


def study(surfaces: Sequence[str] = ("network", "one-draw", "expected", "base")) -> Results:
    """Return the results of a run of the study, with the surfaces that were climbed."""
    cells = []
    for model, by_surface in FALLEN.items():
        for surface, fallen in by_surface.items():
            if surface not in surfaces:
                continue
            cells.append(cell(model, "fgsm", "0.03", range(fallen * 3 // 4), surface=surface))
            for norm, eps in THREATS:
                count = fallen if norm == "linf" else fallen * 9 // 10
                cells.append(
                    cell(model, "pgd", eps, range(count), norm=norm, surface=surface)
                )  # fmt: skip
            if surface in ("network", "expected"):
                cells.append(cell(model, "autoattack", "0.03", range(fallen + 10), surface=surface))
    for model, sigma in SIGMAS.items():
        for n in (100, 1000, 10_000) if model == SMOOTHED else (100, 1000):
            radii = np.linspace(0, 3 * sigma, IMAGES) * (1 - 10 / n)
            cells.append(
                cell(model, "certify", None, (), norm="l2", certified=radii, toolkit="native",
                     surface="predict", parameters={"n0": 100, "n": n, "alpha": "0.001"})
            )  # fmt: skip
    says = {"left": SMOOTHED, "right": "cifar10/*-at", "eps": ("0.03",)}
    data = dict.fromkeys((*FALLEN, *SIGMAS), "cifar10")
    found = planted(
        cells, claim(**says, says="smoothing beats all", surfaces=("network", "one-draw")),
        data=data, images=IMAGES,
        wrong={model: range(190, 200) for model in data},
    )  # fmt: skip
    rows = found.rows.reindex(columns=list(COLUMNS)).assign(
        dataset="cifar10", split="test", borderline=False
    )
    models = [
        {**model, "clean_accuracy": 0.6, "moments": None, "surrogate": None, "options": None,
         "f_score": None, "sigma": SIGMAS.get(model["model"])}
        for model in found.models
    ]  # fmt: skip
    counts = {"forwards": 3.0, "backwards": 1.0, "seconds": 0.001, "climbed": None}
    return dataclasses.replace(
        found, suite="defences", title="Defences", models=models,
        protocol={**_PROTOCOL, "images": IMAGES}, rows=rows.reset_index(drop=True),
        store=_NoPictures(),  # type: ignore[arg-type]
        cells=found.cells.assign(**counts, data="cifar10"),
    )  # fmt: skip

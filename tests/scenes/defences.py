"""A run of the study of defences: which images break which defence is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import build
import numpy as np
from build import IMAGES, cell, claim

from bench.store.results import Results

PUBLISHED = Path(__file__).parents[2] / "bench" / "studies" / "defences" / "published.csv"
SMOOTHED = "cifar10/randomized-smoothing"
THREATS = (("linf", "0.03"), ("l2", "0.045"), ("l2", "0.5"))
#: How many images PGD breaks in linf, by surface; FGSM breaks three quarters of them, PGD in l2 0.9.
FALLEN = {
    "cifar10/basic": {"network": 180},
    "cifar10/noisy": {"network": 140},
    "cifar10/pgd-l2-at": {"network": 120},
    "cifar10/pgd-linf-at": {"network": 100},
    "cifar10/mixed-at": {"network": 110},
    SMOOTHED: {"one-draw": 60, "expected": 110, "base": 40},
}
SIGMAS = {f"{SMOOTHED}-sigma=0.12": 0.12, SMOOTHED: 0.25, f"{SMOOTHED}-sigma=0.5": 0.5}


def results(surfaces: Sequence[str] = ("network", "one-draw", "expected", "base")) -> Results:
    """Return the results of a run of the study, attacked on these surfaces."""
    cells = []
    for model, by_surface in FALLEN.items():
        for surface, fallen in by_surface.items():
            if surface in surfaces:
                cells += _attacks(model, surface, fallen)
    for model, sigma in SIGMAS.items():
        for n in (100, 1000, 10_000) if model == SMOOTHED else (100, 1000):
            radii = np.linspace(0, 3 * sigma, IMAGES) * (1 - 10 / n)
            cells.append(
                cell(model, "certify", None, (), norm="l2", certified=radii, toolkit="native",
                     surface="predict", parameters={"n0": 100, "n": n, "alpha": "0.001"})
            )  # fmt: skip
    titles = dict.fromkeys((*FALLEN, *SIGMAS))
    return build.results(
        cells,
        claim(left=SMOOTHED, right="cifar10/*-at", eps=("0.03",), says="smoothing beats all",
              surfaces=("network", "one-draw")),
        wrong={title: range(190, 200) for title in titles},
        models={
            title: {"data": "cifar10", "clean_accuracy": 0.6, "sigma": SIGMAS.get(title)}
            for title in titles
        },
        suite="defences", title="Defences",
    )  # fmt: skip


def _attacks(model: str, surface: str, fallen: int) -> list[build.PlantedCell]:
    made = [cell(model, "fgsm", "0.03", range(fallen * 3 // 4), surface=surface)]
    for norm, eps in THREATS:
        broken = range(fallen if norm == "linf" else fallen * 9 // 10)
        made.append(cell(model, "pgd", eps, broken, norm=norm, surface=surface))
    if surface in ("network", "expected"):
        made.append(cell(model, "autoattack", "0.03", range(fallen + 10), surface=surface))
    return made

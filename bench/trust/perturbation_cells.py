"""The cell that a claim about perturbations means, and what its images add to a figure.

A setting may name as few parameters as tell the cells of an attack apart. Of cells that differ only in batch
size or number of images, the one with the largest batches counts, unless the setting names a batch size; of
several such, the one with the most images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bench.attacks.catalogue import every_parameter
from bench.measure.compared_figures import Sample
from bench.measure.perturbation_figures import PERTURBATION_FIGURES
from bench.measure.threats import same_radius
from bench.spec import Claim, Setting, number
from bench.trust.claim_run import ClaimRun


class Chosen(NamedTuple):
    """The cell of one side.

    Attributes:
        cell: a row of `ClaimRun.cells`; None if there is none, or several.
        note: why it cannot be used, or is not there; else empty.
    """

    cell: Mapping[Any, Any] | None
    note: str = ""


def fitting(run: ClaimRun, claim: Claim, title: str, setting: Setting) -> pd.DataFrame:
    """Return the planned cells that a setting fits, whatever became of them."""
    cells = run.cells(title, setting.norm)
    radius = math.nan if setting.eps is None else number(setting.eps, "eps")
    at = cells["radius"].isna() if setting.eps is None else same_radius(cells["radius"], radius)
    fits = at & (cells["attack"] == setting.attack)
    if setting.batch_size is not None:
        fits &= cells["batch_size"] == setting.batch_size
    if setting.toolkit is not None:
        fits &= cells["toolkit"] == setting.toolkit
    if claim.surfaces is not None:
        fits &= cells["surface"].isin(claim.surfaces)
    cells = cells[fits]
    wanted = dict(setting.parameters).items()
    return cells[[wanted <= _every(cell).items() for cell in cells.to_dict("records")]]


def chosen(run: ClaimRun, claim: Claim, title: str, setting: Setting) -> Chosen:
    """Return the cell of a model that a setting means."""
    cells = fitting(run, claim, title, setting)
    if cells.empty:
        return Chosen(None, f"no {described(setting)} in this run")
    names = differing(cells.to_dict("records"))
    if names:
        several = f"{len(cells)} cells are {described(setting)}"
        return Chosen(None, f"{several}; they differ in {', '.join(names)}, so say which")
    # Small batches are there for their times.
    fullest = cells.sort_values(["batch_size", "images"], ascending=False, kind="stable")
    cell = fullest.iloc[0].to_dict()
    flag = str(cell["flag"]).removeprefix("INVALID: ")
    return Chosen(cell, f"{described(setting)} {flag}" if flag else "")


def described(setting: Setting) -> str:
    """Return an attack as text: `fgsm linf 0.1, loss logit`."""
    names = [setting.attack, setting.norm, setting.eps]
    told = [f"{name} {value}" for name, value in named(setting).items()]
    return ", ".join([" ".join(name for name in names if name), *told])


def named(setting: Setting) -> dict[str, Any]:
    """Return what a setting names beside the threat."""
    said: dict[str, Any] = dict(setting.parameters)
    if setting.batch_size is not None:
        said["batch_size"] = setting.batch_size
    if setting.toolkit is not None:
        said["toolkit"] = setting.toolkit
    return said


def sample(run: ClaimRun, cell: Mapping[Any, Any], name: str) -> Sample | str:
    """Return what the images of a cell add to a figure, or why it has no such figure."""
    figure, key = PERTURBATION_FIGURES[name], str(cell["cell"])
    if figure.kind in ("share of fit", "fact of fit"):
        return _of_fit(run.outcomes.results.fit(key), name)
    if name == "seconds" and cell["batch_size"] != 1:
        return (
            "images attacked together are not timed one by one; compare cells with batch_size = 1"
        )
    values = run.image_values.get(key)
    if values is None:
        return "no image was attacked, or the rows are of an older version"
    before, after = (values[part].astype("float64") for part in figure.parts or (name, name))
    values = values[before.notna() & after.notna() | (figure.kind == "mean")]
    before, after = before[values.index], after[values.index]
    if figure.kind == "reduction":
        found = Sample("ratio", before - after, before)
    elif figure.kind == "mean":
        found = Sample("ratio", before.fillna(0.0), before.notna().astype("float64"))
    else:
        kind: Literal["share", "median"] = "share" if figure.kind == "share" else "median"
        found = Sample(kind, before, pd.Series(1.0, index=before.index))
    return found if found.counted() else f"it has no {figure.called}"


def _of_fit(fit: Mapping[str, Any] | None, name: str) -> Sample | str:
    """Return a figure of a fit; its fooling rate as that of so many images."""
    if fit is None:
        return "it is fitted on no images"
    if name != "fit_fooling":
        number_alone = pd.Series([float(fit[name.removeprefix("fit_")])])
        return Sample("number", number_alone, pd.Series([1.0]), named=False)
    images = int(fit["images"])
    fooled = np.arange(images) < round(float(fit["fooling"]) * images)
    every = pd.Series(1.0, index=range(images))
    return Sample("share", every.where(fooled, 0.0), every, named=False)


def _every(cell: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what may tell a cell from others of its attack and threat, but its batch and images."""
    return {
        **every_parameter(str(cell["attack"]), cell["parameters"]),
        "toolkit": cell["toolkit"],
        "surface": cell["surface"],
    }


def differing(cells: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Return the names of what is not the same in all cells, but their threats, batches and images."""
    every = [_every(cell) for cell in cells]
    names = dict.fromkeys(name for parameters in every for name in parameters)
    return [name for name in names if len({str(parameters.get(name)) for parameters in every}) > 1]

"""Results and suites made by hand, so that every figure drawn from them is known beforehand.

`results` makes the results of a run from cells in which who broke what is written down; `suite` the text
of a suite file. `scenes/` has larger runs made with these: a stored one, and one for each study.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bench.spec import COLUMNS, Claim, number
from bench.store import columns, frames
from bench.store.results import Results

IMAGES = 200
VERSIONS = {"python": "3.11.0", "torch": "2.9.0", "crossfire": "0.1.0"}


@dataclass(frozen=True, kw_only=True)
class PlantedCell:
    """A cell, and what became of its images; made with `cell`.

    Attributes:
        broken: the images whose label the attack changed.
        distance: by image, how far the image tried lies from the clean one in every norm; eps elsewhere,
            or 0.1 without an eps.
        clean_confidence: by image; 0.9 elsewhere.
        abstained: the images that get no class when attacked.
        no_class: the images that get no class even when clean, so the model gets them wrong.
        invalid: the images where the attack returned something that does not count.
        radii: of a cell that measures adversarial radii: one an image, infinite where none was found.
        certified: of a cell of certificates: one radius an image, 0 where the model abstains.
        steps: the iterations of the attack, each a forward and a backward pass.
        images: how many images the cell has; None for as many as the run.
        crafted_on: the model on whose surface the attack ran, if that is another.
        access: what the attack uses of the model.
        batch_size: how many images were attacked together.
        auto: whether a check called for it, and not the suite.
        columns: other columns of its rows by name, an entry an image or one for all.
        fit: what is recorded of the fit of its perturbation.
        identity: what is recorded of it (`bench.store.identity.identity`).
    """

    model: str
    attack: str
    eps: str | None
    broken: frozenset[int]
    norm: str = "linf"
    toolkit: str = "torchattacks"
    surface: str = "network"
    goal: str = "misclassification"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    status: str = "done"
    error: str | None = None
    distance: Mapping[int, float] = field(default_factory=dict)
    clean_confidence: Mapping[int, float] = field(default_factory=dict)
    abstained: Collection[int] = ()
    no_class: Collection[int] = ()
    invalid: Collection[int] = ()
    radii: Sequence[float] | None = None
    certified: Sequence[float] | None = None
    steps: int = 1
    images: int | None = None
    crafted_on: str | None = None
    access: str = "white"
    batch_size: int = 100
    auto: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] | None = None
    identity: Mapping[str, Any] | None = None

    @property
    def radius(self) -> float:
        return float("nan") if self.eps is None else number(self.eps)


def cell(
    model: str, attack: str, eps: str | None, broken: Collection[int], **more: Any
) -> PlantedCell:
    """Return a cell of an attack that broke these images with its whole budget.

    Args:
        model: its title.
        attack: its name.
        eps: the budget as text; None for an attack that looks for the nearest image.
        broken: the images it broke.
        more: other attributes of `PlantedCell`.
    """
    return PlantedCell(model=model, attack=attack, eps=eps, broken=frozenset(broken), **more)


def claim(**fields: Any) -> Claim:
    """Return a claim that `a` beats `b` under pgd at 0.1, with other fields as given."""
    plain = {"says": "a beats b", "left": "a", "right": "b", "attacks": ("pgd",), "norm": "linf"}
    return Claim(**{**plain, "eps": ("0.1",), "expect": "left > right", **fields})


def results(
    cells: Sequence[PlantedCell],
    *claims: Claim,
    rows: pd.DataFrame | None = None,
    wrong: Mapping[str, Collection[int]] | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    images: int = IMAGES,
    **fields: Any,
) -> Results:
    """Return the results of a run of some cells, called `cell-0`, `cell-1` and so on.

    Args:
        cells: made with `cell`, in the order of the plan.
        claims: the claims of the suite.
        rows: the rows of all cells; None for those that follow from what the cells broke.
        wrong: by model, the images that it gets wrong without any attack.
        models: by title, what a log says of a model where that is not plain; of models without a cell too.
        images: how many images the run has.
        fields: other fields of `Results`.
    """
    titles = dict.fromkeys([*(one.model for one in cells), *(models or {})])
    described = {title: describe(title, **(models or {}).get(title, {})) for title in titles}
    if rows is None:
        parts = [
            _rows(one, f"cell-{turn}", described[one.model], (wrong or {}).get(one.model, ()),
                  one.images or images)
            for turn, one in enumerate(cells) if one.status == "done"
        ]  # fmt: skip
        joined = {
            name: np.concatenate([part[name] for part in parts]) for name in (parts or [{}])[0]
        }
        rows = stored(table(len(joined["index"]), **joined)) if parts else frames.to_pandas([])
    planned = [
        _planned(one, f"cell-{turn}", described[one.model], one.images or images)
        for turn, one in enumerate(cells)
    ]
    made = Results(
        suite="planted", title="Planted", started="2026-01-01T00:00:00+00:00",
        protocol={
            "data": list(dict.fromkeys(model["data"] for model in described.values())),
            "split": "test", "images": images, "seed": 0, "batch_size": 100, "device": "cpu",
            "versions": VERSIONS, "host": "nowhere",
        },
        cells=_counted(pd.DataFrame(planned), rows), rows=rows, models=list(described.values()),
        left_out=[], claims=claims,
        store=_NoPictures({  # type: ignore[arg-type]
            f"cell-{turn}": {"fit": one.fit, "identity": one.identity}
            for turn, one in enumerate(cells) if one.fit or one.identity
        }),
    )  # fmt: skip
    return replace(made, **fields)


def describe(title: str, **facts: Any) -> dict[str, Any]:
    """Return what a run's log says of a model: of a plain network, where no fact says otherwise."""
    plain = {
        "family": "network", "data": "digits", "clean_accuracy": 0.9, "options": None,
        "f_score": None, "sigma": None, "moments": None, "surrogate": None,
    }  # fmt: skip
    return {"model": title, **plain, **facts}


def training(
    name: str, *curves: Sequence[float], seed: int = 0, phases: Sequence[int] = ()
) -> dict[str, Any]:
    """Return what a run's log says of a training; see `bench.store.results.Results`.

    Args:
        name: of its configuration.
        curves: loss and accuracy by epoch on training images, then on those of validation, then of test.
        seed: of the training.
        phases: epochs of each.
    """
    train, validation, test = (
        dict(zip(("loss", "accuracy"), curves[at : at + 2], strict=True)) for at in (0, 2, 4)
    )
    losses = list(validation["loss"])
    return {
        "name": f"{name}-seed{seed}" if seed else name, "configuration": name, "data": "digits",
        "seed": seed, "parameters": 10, "clean_accuracy": 0.5, "trunk": None, "phases": list(phases),
        "curves": {
            "chosen_epoch": losses.index(min(losses)) + 1, "chosen_by": "validation",
            "splits": {"train": train, "validation": validation, "test": test},
        },
    }  # fmt: skip


def table(count: int, **values: Any) -> pd.DataFrame:
    """Return rows of images 0 to `count` - 1 with these columns, and in all others plain values."""
    plain: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "kind": "attack", "dataset": "digits", "split": "test", "index": range(count),
        "family": "network", "goal": "misclassification", "targeted": "none", "label": 0,
        "clean_label": 0, "clean_confidence": 0.9, "correct": True, "success": False,
        "borderline": False, "abstained": False, "seconds": 0.0, "seed": 0,
    }  # fmt: skip
    made = pd.DataFrame({**plain, **values}, index=range(count))
    return made[list(COLUMNS)]


def stored(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows as a store gives them back, of the types that its schema asks for."""
    return frames.to_pandas([columns.decode(columns.encode(rows, None))[0]])


@dataclass(frozen=True)
class _NoPictures:
    """What is asked of a store, where nothing was kept but some records."""

    records: Mapping[str, Mapping[str, Any]]

    def pictures(self, key: str) -> dict[str, Any]:
        return {}

    def record(self, key: str) -> Mapping[str, Any] | None:
        return self.records.get(key)


def _rows(
    one: PlantedCell, key: str, model: Mapping[str, Any], wrong: Collection[int], images: int
) -> dict[str, np.ndarray]:
    """Return the columns of a cell's rows, an entry an image."""

    def among(chosen: Collection[int]) -> np.ndarray:
        return np.isin(np.arange(images), np.fromiter(chosen, int))

    def by_image(values: Mapping[int, float], elsewhere: float) -> np.ndarray:
        return np.array([values.get(image, elsewhere) for image in range(images)], float)

    certifies = one.certified is not None
    certified = np.full(images, np.nan) if one.certified is None else np.array(one.certified, float)
    radii = np.full(images, np.nan) if one.radii is None else np.array(one.radii, float)
    no_class = among(one.no_class) | (certified == 0)
    correct = ~among(wrong) & ~no_class
    attacked = correct & (not certifies)
    changed = correct & among(one.broken)
    spoilt = correct & among(one.invalid)
    size = by_image(one.distance, 0.1 if one.eps is None else one.radius)
    values: dict[str, Any] = {
        "cell": key, "index": np.arange(images), "dataset": model["data"], "model": one.model,
        "kind": "certify" if certifies else "attack" if one.radii is None else "radius",
        "family": model["family"], "attack": one.attack, "toolkit": one.toolkit,
        "surface": one.surface, "norm": one.norm, "eps": one.radius, "goal": one.goal,
        "correct": correct, "clean_label": np.where(no_class, -1, np.where(correct, 0, 1)),
        "adv_label": np.where(attacked, changed.astype(int).astype(object), None),
        "success": changed & ~spoilt, "invalid": np.where(spoilt, "not finite", None),
        "abstained": correct & among(one.abstained) | no_class,
        "clean_confidence": by_image(one.clean_confidence, 0.9),
        "adv_confidence": np.where(attacked, 0.8, np.nan),
        **dict.fromkeys(("l0", "l1", "l2", "linf"), np.where(attacked, size, np.nan)),
        "iterations": one.steps, "forwards": correct * (one.steps + 2),
        "backwards": correct * one.steps, "seconds": correct * 0.001 * one.steps,
        "certified_radius": certified, "adversarial_radius": np.where(correct, radii, np.nan),
        **one.columns,
    }  # fmt: skip
    return {name: np.broadcast_to(value, images) for name, value in values.items()}


def _planned(one: PlantedCell, key: str, model: Mapping[str, Any], images: int) -> dict[str, Any]:
    kind = "minimal" if one.eps is None else "fixed"
    return {
        "cell": key, "model": one.model, "family": model["family"], "data": model["data"],
        "attack": one.attack, "norm": one.norm, "eps": one.eps, "toolkit": one.toolkit,
        "surface": one.surface, "crafted_on": one.crafted_on, "goal": one.goal,
        "targeted": one.parameters.get("targeted", "none"), "parameters": dict(one.parameters),
        "kind": kind if one.certified is None else "certify", "access": one.access,
        "status": one.status, "error": one.error, "radius": one.radius, "images": images,
        "batch_size": one.batch_size, "auto": one.auto,
    }  # fmt: skip


def _counted(cells: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return cells with their counts and means, as `load_results` has them."""
    counts = rows.groupby("cell").agg(
        correct=("correct", "sum"), successes=("success", "sum"), invalid=("invalid", "count")
    )  # fmt: skip
    passes = ["seconds", "forwards", "backwards"]
    means = rows[columns.attacked(rows)].groupby("cell")[passes].mean().astype("float64")
    known = counts.astype("Int64").join(means)
    return cells.merge(known, how="left", left_on="cell", right_index=True)


def suite(
    models: Sequence[str | Mapping[str, Any]],
    attacks: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]] = (),
    **head: Any,
) -> str:
    """Return the text of a suite file, of the digits unless `head` has other `data`.

    Args:
        models: names, or all that is written of a model.
        attacks: what is written of each.
        claims: what is written of each.
        head: what stands above them, such as `images`.
    """
    tables = [
        ("models", [{"name": one} if isinstance(one, str) else one for one in models]),
        ("attacks", attacks),
        ("claims", claims),
    ]
    lines = _pairs({"title": "T", "data": "digits", **head})
    for name, entries in tables:
        for entry in entries:
            lines += ["", f"[[{name}]]", *_pairs(entry)]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in values.items()]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pairs(value))} }}"
    return json.dumps(value, ensure_ascii=False)

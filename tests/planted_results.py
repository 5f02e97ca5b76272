"""Results in which who broke what is written down, so that every figure is known beforehand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.spec import COLUMNS, Claim, number
from bench.store.results import Results

IMAGES = 200


def cell(model: str, attack: str, eps: str | None, broken: Collection[int], **more: Any) -> dict:
    """Return a cell of an attack that broke these images with its whole budget.

    `status`, `surface`, `toolkit`, `goal`, `norm`, `words` and, by image, `at` (distances),
    `abstained`, `none` (wrong, since the clean image gets no class), `invalid`, `sure` (clean
    confidence, 0.9 elsewhere) and `radii` (of a cell that measures them, one an image), `certified` (of a cell of certificates, one an image, 0 where it
    abstains) and `images` (how many it has) may be given too.
    """
    return {"model": model, "attack": attack, "eps": eps, "broken": set(broken), **more}


def claim(**said: Any) -> Claim:
    """Return a claim on `a` and `b` under pgd at 0.1, unless it is told otherwise."""
    plain = {"says": "a beats b", "left": "a", "right": "b", "attacks": ("pgd",), "norm": "linf"}
    return Claim(**{**plain, "eps": ("0.1",), "expect": "left > right", **said})


def planted(
    cells: Sequence[Mapping[str, Any]],
    *claims: Claim,
    wrong: Mapping[str, Collection[int]] | None = None,
    data: Mapping[str, str] | None = None,
    models: Sequence[str] = (),
    images: int = IMAGES,
) -> Results:
    """Return the results of some cells.

    Args:
        cells: of `cell`.
        claims: what the suite says.
        wrong: by model, the images that it gets wrong anyway.
        data: by model, its data set, where that is not `digits`.
        models: titles of models that no cell is of.
        images: how many there are.
    """
    titles = list(dict.fromkeys([*(one["model"] for one in cells), *models]))
    named = [
        {
            "cell": f"cell-{turn}", "model": one["model"], "family": "network",
            "attack": one["attack"], "norm": one.get("norm", "linf"), "eps": one["eps"],
            "toolkit": one.get("toolkit", "torchattacks"), "surface": one.get("surface", "network"),
            "goal": one.get("goal", "misclassification"), "targeted": "none", "parameters": one.get("parameters", {}),
            "kind": "certify" if "certified" in one else "minimal" if one["eps"] is None else "fixed",
            "access": "white",
            "radius": float("nan") if one["eps"] is None else number(one["eps"]),
            "status": one.get("status", "done"), "error": one.get("error"),
            "images": one.get("images", images),
        }
        for turn, one in enumerate(cells)
    ]  # fmt: skip
    frames = [
        _rows(one, facts, set((wrong or {}).get(one["model"], ())), one.get("images", images))
        for one, facts in zip(cells, named, strict=True)
        if facts["status"] == "done"
    ]
    return Results(
        suite="planted", title="Planted", started="2026-01-01T00:00:00",
        protocol={"data": ["digits"], "split": "test", "images": images},
        cells=pd.DataFrame(named),
        rows=pd.concat(frames) if frames else pd.DataFrame(columns=list(COLUMNS)),
        models=[
            {"model": title, "family": "network", "data": (data or {}).get(title, "digits")}
            for title in titles
        ],
        left_out=[], claims=claims, store=None,  # type: ignore[arg-type]
    )  # fmt: skip


def _kind(one: Mapping[str, Any]) -> str:
    return "radius" if "radii" in one else "certify" if "certified" in one else "attack"


def _rows(
    one: Mapping[str, Any], facts: Mapping[str, Any], wrong: set[int], images: int
) -> pd.DataFrame:
    size = 0.1 if one["eps"] is None else facts["radius"]
    index = pd.Series(range(images))
    correct = ~index.isin(wrong)
    certified = pd.Series(one.get("certified", np.nan), index=index).astype(float)
    none = index.isin(one.get("none", ())) | (certified == 0)
    correct &= ~none
    success = correct & index.isin(one["broken"])
    distance = index.map(one.get("at", {})).astype(float).fillna(size)
    invalid = (correct & index.isin(one.get("invalid", ()))).map({True: "not finite", False: None})
    return pd.DataFrame({
        "cell": facts["cell"], "kind": _kind(one), "model": facts["model"], "index": index, "correct": correct,
        "success": success & invalid.isna(), "invalid": invalid, "goal": facts["goal"],
        "clean_confidence": index.map(one.get("sure", {})).astype(float).fillna(0.9),
        "adversarial_radius": pd.Series(one.get("radii", np.nan), index=index).where(correct),
        "certified_radius": certified, "clean_label": (~correct).astype(int).mask(none, -1),
        "abstained": correct & index.isin(one.get("abstained", ())) | none, "label": 0,
        "adv_label": success.astype("Int64").where(correct & ("certified" not in one)), "norm": facts["norm"],
        **dict.fromkeys(("l0", "l1", "l2", "linf"), distance),
    })  # fmt: skip

"""From rows to figures: the headline, accuracy against eps, and the table of attacks.

When an image counts as broken: `bench.measure.falls`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.measure.falls import (
    beaten,
    broken,
    choosy,
    clean_answers,
    fall_distances,
    flagged_cells,
    label_changing,
    shortfall,
    side_by_side,
    standing,
    tried_by_all,
    unseen_noise,
)
from bench.measure.rates import wilson
from bench.spec import BLACK_BOX_SURFACE, eps_text
from bench.store.columns import attacked
from bench.store.results import Results

_STEPS = 50  # of the grid on which a curve of minimal-norm attacks is drawn
_NAN = float("nan")


def headline(results: Results) -> pd.DataFrame:
    """Return the worst-case accuracy of each model under each threat of the run.

    A threat is a norm with an eps that some attack of fixed budget of the run has; where several data
    sets are asked about different ones, a model has those of its own. Its robust accuracy is the share of
    all images, those the model gets wrong included, that no cell of this model and norm broke within eps:
    of whatever toolkit, surface and budget, minimal-norm attacks included, but not those that aim at less
    confidence. The cells that aim at the threat are those of
    just this eps and the minimal-norm ones; they are `planned`, and those of them that ran and touched
    the images are `attacks`. With none such the figure is NaN and the flag begins with INVALID. Where
    they have different numbers of images, those that all of them have count, for the clean accuracy too.

    A norm with minimal-norm attacks alone has no row, since nobody named an eps to ask about; its
    median distances are in `attack_rates`, its whole curve in `curve`.

    Returns:
        A row a model and threat, models in the run's order: `model, family, norm, eps` (float),
        `eps_text, n` (images), `clean_accuracy, robust_accuracy, low, high` (95 % Wilson),
        `attacks, planned, flag` (empty when all is well; it also says where black-box attacks alone
        reached the model, and where a random one was attacked through one draw alone), `worst` (the
        single strongest attack; empty without a valid one).
    """
    cells = label_changing(results)
    every = _threats(results, cells)
    by_cell, right = fall_distances(results), clean_answers(results)
    found = []
    for model, family in _models(results):
        clean = right.get(model, pd.Series(dtype=bool))
        threats = every[_data_of(model, results)]
        for norm in threats["norm"].unique():
            mine = cells[(cells["model"] == model) & (cells["norm"] == norm)]
            falls = side_by_side(by_cell, mine["cell"])
            for _, threat in threats[threats["norm"] == norm].sort_values("radius").iterrows():
                figures = _threat(mine, falls, threat["radius"])
                tried = clean.reindex(figures.pop("images", clean.index))
                row = {"model": model, "family": family, "norm": norm, "eps": threat["radius"]}
                row |= {"eps_text": threat["eps"]}
                row |= {"n": len(tried) or int(results.protocol["images"])}
                found.append(row | {"clean_accuracy": _share(tried)} | figures)
    names = (
        "model", "family", "norm", "eps", "eps_text", "n", "clean_accuracy", "robust_accuracy",
        "low", "high", "attacks", "planned", "flag", "worst",
    )  # fmt: skip
    return pd.DataFrame(found, columns=list(names))


def curve(results: Results) -> pd.DataFrame:
    """Return worst-case accuracy against eps, for each model and norm.

    The share of the images that all valid cells of the model and norm have which none of them broke
    within eps: a step function, to be drawn with its steps to the right. The grid is 0 (the clean
    accuracy) and every eps that the run asks of models of its data set; with a minimal-norm attack, which
    measures every eps at once, also 50 equal steps up to the largest of these, or up to the largest
    distance where there is none. An eps that only failed attacks aimed at is NaN.

    Returns:
        `model, norm, eps, accuracy, low, high` (95 % Wilson), `n`; eps ascending.
    """
    cells, by_cell = label_changing(results), fall_distances(results)
    every = _threats(results, cells)
    found = []
    for (model, norm), mine in cells.groupby(["model", "norm"], sort=False):
        threats = every[_data_of(str(model), results)]
        asked = threats.loc[threats["norm"] == norm, "radius"]
        for point in _curve(by_cell, mine, sorted(asked)):
            found.append({"model": model, "norm": norm, **point})
    return pd.DataFrame(found, columns=["model", "norm", "eps", "accuracy", "low", "high", "n"])


def attack_curves(results: Results) -> pd.DataFrame:
    """Return accuracy against eps under each attack alone, the worst of its toolkits and surfaces.

    As `curve`, on the eps that the attack itself was asked for.

    Returns:
        `model, norm, attack, eps, accuracy, low, high, n`; eps ascending.
    """
    return _curves_by(results, "attack")


def surface_curves(results: Results) -> pd.DataFrame:
    """Return accuracy against eps on each surface alone, the worst of the attacks that climbed it.

    As `curve`, on the eps that the attacks on that surface were asked for.

    Returns:
        `model, norm, surface, eps, accuracy, low, high, n`; eps ascending.
    """
    return _curves_by(results, "surface")


def _curves_by(results: Results, kind: str) -> pd.DataFrame:
    """Return the curves of the cells of each model and norm, apart by one of their columns."""
    cells, by_cell = label_changing(results), fall_distances(results)
    found = []
    for (model, norm, one), mine in cells.groupby(["model", "norm", kind], sort=False):
        asked = sorted(set(mine.loc[mine["kind"] == "fixed", "radius"]))
        for point in _curve(by_cell, mine, asked):
            found.append({"model": model, "norm": norm, kind: one, **point})
    names = ["model", "norm", kind, "eps", "accuracy", "low", "high", "n"]
    return pd.DataFrame(found, columns=names)


def attack_rates(results: Results) -> pd.DataFrame:
    """Return what each attack did by itself, a row a planned cell in the plan's order.

    Returns:
        `cell, model, family, attack, norm, eps` (NaN for a minimal-norm attack), `eps_text`
        (`minimal` for one), `toolkit, surface, goal, targeted, kind, status`;
        `n` (images) and `attacked` (those of them that the model gets right);
        `successes` (the goal was reached), `success_rate` (successes / attacked) with `low, high` (95 %
        Wilson);
        `accuracy` (share of n that the model still gets right after the attack; null where only
        images of which it is sure were attacked);
        `median_distance` (in the cell's norm over the successes of a minimal-norm attack);
        `forwards, backwards, seconds` (means over the images attacked);
        `invalid` (images that cannot count) and `reasons` (such as `2 over budget, 1 not finite`);
        `borderline` (attacked images judged by a margin below 1e-4), `abstained`;
        `flag` (empty when all is well, else it begins with INVALID).
        Numbers are null where the cell is not done.
    """
    cells = flagged_cells(results)
    named = ["cell", "model", "family", "attack", "norm", "toolkit", "surface", "goal", "targeted"]
    table = cells[[*named, "kind", "status"]].copy()
    table.insert(5, "eps", cells["radius"])
    table.insert(6, "eps_text", cells["eps"].fillna(eps_text(None)))
    table = table.merge(_cell_figures(results.rows), how="left", left_on="cell", right_index=True)
    intervals = [
        wilson(int(hits), int(n)) if pd.notna(n) else (_NAN, _NAN)
        for hits, n in zip(table["successes"], table["attacked"], strict=True)
    ]
    counts = table[["successes", "attacked"]].astype("float64")
    table["success_rate"] = counts["successes"] / counts["attacked"]
    table["low"], table["high"] = [low for low, _ in intervals], [high for _, high in intervals]
    table["median_distance"] = table["median_distance"].where(table["kind"] == "minimal")
    table["accuracy"] = table["accuracy"].where(~choosy(cells))
    table["reasons"] = table["reasons"].fillna("")
    passes = ["forwards", "backwards", "seconds"]
    return table.join(cells[[*passes, "flag"]])


def _cell_figures(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what can be counted of each cell, by cell."""
    tried = rows[attacked(rows)]
    won = tried[tried["success"]]
    distance = pd.Series(np.nan, index=won.index)
    for norm in won["norm"].unique():
        distance = distance.where(won["norm"] != norm, won[norm])
    counts = tried.groupby("cell").agg(
        attacked=("index", "size"),
        successes=("success", "sum"),
        invalid=("invalid", "count"),
        borderline=("borderline", "sum"),
        abstained=("abstained", "sum"),
    )
    figures = rows.groupby("cell").agg(n=("index", "size")).join(counts).fillna(0).astype("Int64")
    stands = rows["correct"] & ~beaten(rows)
    return figures.assign(
        accuracy=stands.groupby(rows["cell"]).mean(),
        median_distance=distance.groupby(won["cell"]).median(),
        reasons=tried["invalid"].dropna().groupby(tried["cell"]).agg(_reasons),
    )


def _reasons(invalid: pd.Series[str]) -> str:
    """Return how often each kind of reason was given, without the numbers in it."""
    kinds = invalid.map(lambda reason: re.split(r" by |: ", reason)[0]).value_counts()
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _threats(results: Results, cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return `norm, radius, eps` of what the models of each data set are asked about, by data set.

    Of one whose models no attack reaches, everything that the run asks about.
    """
    fixed = cells[cells["kind"] == "fixed"]
    data = fixed["model"].map({one["model"]: one["data"] for one in results.models})
    found = {}
    for name in {one["data"] for one in results.models}:
        own = fixed[data == name] if (data == name).any() else fixed
        found[name] = own[["norm", "radius", "eps"]].drop_duplicates(["norm", "radius"])
    return found


def _data_of(model: str, results: Results) -> str:
    """Return the data set of a model."""
    return str(next(one["data"] for one in results.models if one["model"] == model))


def _models(results: Results) -> list[tuple[str, str]]:
    """Return names and families of all models asked for, also of those that no attack reaches."""
    return [(model["model"], model["family"]) for model in results.models]


def _threat(cells: pd.DataFrame, falls: pd.DataFrame, eps: float) -> dict[str, Any]:
    """Return the figures of one model under one threat; `cells` are those of its norm.

    With them the `images` they are of, where an attack counts.
    """
    aimed = cells[(cells["radius"] == eps) | (cells["kind"] == "minimal")]
    valid = aimed[aimed["flag"] == ""]
    figures: dict[str, Any] = {"attacks": len(valid), "planned": len(aimed)}
    flag = shortfall(aimed)
    if valid.empty:
        nothing = dict.fromkeys(("robust_accuracy", "low", "high"), _NAN)
        why = flag or "no attack of this run applies"
        return figures | nothing | {"flag": f"INVALID: {why}", "worst": ""}
    falls = tried_by_all(falls, valid["cell"])
    robust = standing(falls, eps)
    flag = "; ".join(part for part in (flag, _unseen(set(valid["surface"]))) if part)
    alone = broken(falls[valid["cell"]].to_numpy(), eps).sum(axis=0)
    worst = valid.iloc[int(np.argmax(alone))]
    climbed = set(cells["surface"]) - {BLACK_BOX_SURFACE}
    surface = f", {worst['surface']}" if worst["surface"] in climbed and len(climbed) > 1 else ""
    return figures | {
        "images": falls.index,
        "robust_accuracy": robust["accuracy"],
        "low": robust["low"],
        "high": robust["high"],
        "flag": flag,
        "worst": f"{worst['attack']} ({worst['toolkit']}{surface})",
    }


def _unseen(surfaces: set[str]) -> str:
    """Return what attacks on these surfaces may not have seen of a model; empty where nothing."""
    if surfaces == {BLACK_BOX_SURFACE}:
        return "black-box attacks only"
    return unseen_noise(surfaces)


def _curve(
    by_cell: Mapping[str, pd.Series[float]], cells: pd.DataFrame, asked: list[float]
) -> list[dict[str, Any]]:
    """Return the points of a curve over some cells of one model and norm."""
    cells = cells[cells["flag"] == ""]
    falls = tried_by_all(side_by_side(by_cell, cells["cell"]), cells["cell"])
    if falls.empty:
        return []
    measured = set(cells["radius"].dropna())
    grid = {0.0, *asked}
    if (cells["kind"] == "minimal").any():
        fall = falls.to_numpy().min(axis=1)
        top = max(asked) if asked else max(0.0, *fall[np.isfinite(fall)])
        grid |= set(np.linspace(0.0, top, _STEPS + 1).tolist())
        measured = grid
    points = []
    for eps in sorted(grid):
        point = {"eps": eps, **standing(falls, eps)}
        if eps not in measured | {0.0}:
            point |= dict.fromkeys(("accuracy", "low", "high"), _NAN)
        points.append(point)
    return points


def _share(values: pd.Series[bool]) -> float:
    return float(values.mean()) if len(values) else _NAN

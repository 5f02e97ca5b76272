"""From rows to figures: the headline, accuracy against eps, and the table of attacks.

When an image counts as broken: `bench.measure.outcomes`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from bench.measure.outcomes import (
    NO_UNTARGETED,
    NOISE_ALONE,
    SAME_RADIUS,
    Group,
    Outcomes,
    beaten,
    broken,
    clean_answers,
    confidence_filtered,
    flagged_cells,
    outcomes,
    same_radius,
    shortfall,
    threats,
    unseen_noise,
)
from bench.measure.statistics import wilson
from bench.spec import BLACK_BOX_SURFACE, eps_text
from bench.store.columns import attacked
from bench.store.results import Results

_STEPS = 50  # of the grid on which a curve of minimal-norm attacks is drawn
_NAN = float("nan")


def headline(results: Results) -> pd.DataFrame:
    """Return the worst-case accuracy of each model under each threat of the run.

    A threat is a norm with an eps that some attack of fixed budget of the run has, radii that agree to
    1e-6 being one; where several data sets are asked about different ones, a model has those of its own.
    Robust accuracy is the share of all images, those the model gets wrong included, that no cell of this
    model and norm broke within eps: of whatever toolkit, surface, budget and goal. The cells that aim at
    the threat are those without a target of just this eps and the minimal-norm ones, noise apart; they
    are `planned`, and those of them that ran and had something to go by are `attacks`. The figure is
    NaN, and the flag begins with INVALID, without one of these, and where on more than 5 % of the images
    attacked none of them was valid, or scores were not finite (`bench.measure.outcomes` has the rules).
    Where they have different numbers of images, those that all of them have count, for the clean
    accuracy too. Of a random model both accuracies are means over the draws that judge it.

    A norm with minimal-norm attacks alone has no row, since nobody named an eps to ask about; its
    median distances are in `attack_rates`, its whole curve in `curve`.

    Returns:
        A row a model and threat, models in the run's order: `model, family, norm, eps` (float),
        `eps_text, n` (images), `clean_accuracy, robust_accuracy, low, high` (95 % Wilson),
        `attacks, planned, flag` (empty when all is well; it also says where black-box attacks alone
        reached the model, and where a random one was attacked through one draw alone), `worst` (the
        strongest attacks, several where they tie; empty without a valid one), `draws` (of a random
        model, how many judge an image; else null).
    """
    known = outcomes(results)
    every, right = _threats(results, known.cells), clean_answers(results)
    found = []
    for model in results.models:
        title = str(model["model"])
        clean = right.get(title, pd.Series(dtype=bool))
        asked = every[str(model["data"])]
        for norm in asked["norm"].unique():
            cells = known.cells[(known.cells["model"] == title) & (known.cells["norm"] == norm)]
            group = known.group(cells["cell"])
            share = _clean_shares(group, clean)
            for threat in asked[asked["norm"] == norm].to_dict("records"):
                figures = _threat(cells, group, threat["radius"])
                tried = share.reindex(figures.pop("images", share.index))
                row = {"model": title, "family": model["family"], "norm": norm}
                row |= {"eps": threat["radius"], "eps_text": threat["eps"]}
                row |= {"n": len(tried) or int(results.protocol["images"])}
                figures["flag"] = "; ".join(
                    part for part in (figures["flag"], *model.get("notes", ())) if part
                )
                found.append(row | {"clean_accuracy": _share(tried)} | figures)
    names = (
        "model", "family", "norm", "eps", "eps_text", "n", "clean_accuracy", "robust_accuracy",
        "low", "high", "attacks", "planned", "flag", "worst", "draws",
    )  # fmt: skip
    return pd.DataFrame(found, columns=list(names)).astype({"draws": "Int64"})


def curve(results: Results) -> pd.DataFrame:
    """Return worst-case accuracy against eps, for each model and norm.

    The share of the images that all valid cells of the model and norm have which nothing broke within
    eps: a step function, to be drawn with its steps to the right. The grid is 0 (the clean accuracy) and
    every eps that the run asks of models of its data set; with a minimal-norm attack, which measures every
    eps at once, also 50 equal steps up to the largest of these, or up to the largest distance where there
    is none. An eps that only failed attacks aimed at, or with too many images without a valid one, is NaN.

    Returns:
        `model, norm, eps, accuracy, low, high` (95 % Wilson), `n`; eps ascending.
    """
    known = outcomes(results)
    every = _threats(results, known.cells)
    found = []
    for (model, norm), mine in known.cells.groupby(["model", "norm"], sort=False):
        asked = every[_data_of(str(model), results)]
        radii = asked.loc[asked["norm"] == norm, "radius"]
        for point in _curve(known, mine, sorted(radii)):
            found.append({"model": model, "norm": norm, **point})
    return pd.DataFrame(found, columns=["model", "norm", "eps", "accuracy", "low", "high", "n"])


def surface_curves(results: Results) -> pd.DataFrame:
    """Return accuracy against eps on each surface alone, the worst of the attacks that climbed it.

    As `curve`, on the eps that the attacks on that surface were asked for.

    Returns:
        `model, norm, surface, eps, accuracy, low, high, n`; eps ascending.
    """
    known, found = outcomes(results), []
    for (model, norm, surface), mine in known.cells.groupby(
        ["model", "norm", "surface"], sort=False
    ):
        asked = sorted(threats(mine[mine["kind"] == "fixed"])["radius"])
        for point in _curve(known, mine, asked):
            found.append({"model": model, "norm": norm, "surface": surface, **point})
    names = ["model", "norm", "surface", "eps", "accuracy", "low", "high", "n"]
    return pd.DataFrame(found, columns=names)


def attack_rates(results: Results) -> pd.DataFrame:
    """Return what each attack did by itself, a row a planned cell in the plan's order.

    Returns:
        `cell, model, family, attack, norm, eps` (NaN for a minimal-norm attack), `eps_text`
        (`minimal` for one), `toolkit, surface, goal, targeted, kind, status`;
        `n` (images) and `attacked` (those of them that the model gets right);
        `successes` (the goal was reached), `success_rate` (successes / attacked) with `low, high` (95 %
        Wilson), `lost_rate` (of the images attacked, those that lost the right label, whatever the goal);
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
    counts = table[["successes", "lost", "attacked"]].astype("float64")
    table["success_rate"] = counts["successes"] / counts["attacked"]
    table["lost_rate"] = counts["lost"] / counts["attacked"]
    table["low"], table["high"] = [low for low, _ in intervals], [high for _, high in intervals]
    table["median_distance"] = table["median_distance"].where(table["kind"] == "minimal")
    table["accuracy"] = table["accuracy"].where(~confidence_filtered(cells))
    table["reasons"] = table["reasons"].fillna("")
    passes = ["forwards", "backwards", "seconds"]
    return table.drop(columns="lost").join(cells[[*passes, "flag"]])


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
    lost = beaten(rows)
    counts["lost"] = lost.groupby(rows["cell"]).sum()
    figures = rows.groupby("cell").agg(n=("index", "size")).join(counts).fillna(0).astype("Int64")
    stands = rows["correct"] & ~lost
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
    """Return the `threats` that the models of each data set are asked about, by data set.

    Of one whose models no attack reaches, everything that the run asks about.
    """
    fixed = cells[cells["kind"] == "fixed"]
    data = fixed["model"].map({one["model"]: one["data"] for one in results.models})
    found = {}
    for name in {str(one["data"]) for one in results.models}:
        own = fixed[data == name] if (data == name).any() else fixed
        found[name] = threats(own)
    return found


def _data_of(model: str, results: Results) -> str:
    """Return the data set of a model."""
    return str(next(one["data"] for one in results.models if one["model"] == model))


def _clean_shares(group: Group, clean: pd.Series[bool]) -> pd.Series[float]:
    """Return by image 1 or 0, whether the clean one is right; of a random model the share of draws."""
    share = clean.astype(float)
    for frame in group.draws:
        drawn: pd.Series[float] = frame["clean"].dropna()
        share.update(drawn)
    return share


def _threat(cells: pd.DataFrame, group: Group, eps: float) -> dict[str, Any]:
    """Return the figures of one model under one threat; `cells` are all those of its norm.

    With them the `images` they are of, where an attack counts.
    """
    at_eps = cells[same_radius(cells["radius"], eps) | (cells["kind"] == "minimal")]
    aimed = at_eps[at_eps["shows"]]
    valid = aimed[aimed["flag"] == ""]
    figures: dict[str, Any] = {"attacks": len(valid), "planned": len(aimed), "worst": ""}
    draws = next((int(frame["of"].iloc[0]) for frame in group.draws), None)
    figures |= {"draws": draws}
    reasons = [shortfall(aimed)]
    if valid.empty:
        nothing = dict.fromkeys(("robust_accuracy", "low", "high"), _NAN)
        return figures | nothing | {"flag": f"INVALID: {reasons[0] or _why_none(at_eps)}"}
    worst = group.at(eps, valid["cell"])
    reasons = [*worst.notes, *reasons, _unseen(set(valid["surface"]))]
    flag = "; ".join(part for part in reasons if part)
    told = worst.figures()
    return figures | {
        "images": worst.stands.index,
        "robust_accuracy": told["accuracy"],
        "low": told["low"],
        "high": told["high"],
        "flag": f"INVALID: {flag}" if worst.invalid else flag,
        "worst": _strongest(valid, group, worst.stands.index, eps, cells),
    }


def _why_none(cells: pd.DataFrame) -> str:
    """Return why none of the cells that aim at a threat could show that an image is robust."""
    if cells.empty:
        return "no attack of this run applies"
    untargeted = cells["goal"] == "misclassification"
    return NOISE_ALONE if (untargeted & ~confidence_filtered(cells)).any() else NO_UNTARGETED


def _strongest(
    valid: pd.DataFrame, group: Group, images: pd.Index[Any], eps: float, cells: pd.DataFrame
) -> str:
    """Return the attacks that broke the most images, such as `bim, pgd (tie of 6)`."""
    has = group.images.isin(images)
    alone = broken(group.falls[has][:, group.columns(valid["cell"])], eps).sum(axis=0)
    best = valid[alone == alone.max()]
    if len(best) > 1:
        names = list(dict.fromkeys(best["attack"]))
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        return f"{shown} (tie of {len(best)})"
    one = best.iloc[0]
    climbed = set(cells["surface"]) - {BLACK_BOX_SURFACE}
    surface = f", {one['surface']}" if one["surface"] in climbed and len(climbed) > 1 else ""
    return f"{one['attack']} ({one['toolkit']}{surface})"


def _unseen(surfaces: set[str]) -> str:
    """Return what attacks on these surfaces may not have seen of a model; empty where nothing."""
    if surfaces == {BLACK_BOX_SURFACE}:
        return "black-box attacks only"
    return unseen_noise(surfaces)


def _curve(known: Outcomes, cells: pd.DataFrame, asked: list[float]) -> list[dict[str, Any]]:
    """Return the points of a curve over some cells of one model and norm."""
    valid = cells[cells["shows"] & (cells["flag"] == "")]
    group = known.group(cells["cell"])
    has = ~np.isnan(group.falls[:, group.columns(valid["cell"])]).any(axis=1)
    if valid.empty or not has.any():
        return []
    minimal = valid["kind"] == "minimal"
    measured = list(valid["radius"].dropna())
    grid = {0.0, *asked}
    if minimal.any():
        least = group.least[np.isfinite(group.least)]
        top = max(asked) if asked else max(0.0, *least)
        grid |= set(np.linspace(0.0, top, _STEPS + 1).tolist())
    points = []
    for eps in sorted(grid):
        # What stands at a larger radius stands here.
        showing = valid[minimal | (valid["radius"] >= eps * (1 - SAME_RADIUS))]
        point = {"eps": eps, **group.at(eps, showing["cell"], valid["cell"]).figures()}
        aimed = minimal.any() or eps == 0 or same_radius(pd.Series(measured), eps).any()
        if not aimed:
            point |= dict.fromkeys(("accuracy", "low", "high"), _NAN)
        points.append(point)
    return points


def _share(values: pd.Series[float]) -> float:
    return float(values.mean()) if len(values) else _NAN

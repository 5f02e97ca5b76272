"""From certificates to figures: certified accuracy, and the true one between it and what attacks leave.

An image is certified within eps iff its certified decision is right and its radius is above eps: then
no image nearer than eps is decided otherwise, but for a share alpha of those asked for. A successful
attack shows the contrary, that the decision is not robust. So for each l2 radius

    certified accuracy <= robust accuracy of the ideal smoothed classifier <= accuracy under attack

where an abstention of the judge shows nothing, and counts as standing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from bench.measure.outcomes import (
    accuracy_attacks,
    broken,
    side_by_side,
    tried_by_all,
    unseen_noise,
)
from bench.measure.statistics import wilson
from bench.spec import number
from bench.store.results import Results

#: Labels changed within certified radii are more than alpha explains below this probability.
_UNLIKELY = 0.01


def certified_radii(results: Results) -> dict[str, pd.Series[float]]:
    """Return the radius within which each image is rightly decided, by done cell, indexed by image.

    0 where the model abstains or is wrong, so that an image is certified within eps iff it is above.
    """
    rows = results.rows[results.rows["kind"] == "certify"]
    radii = rows["certified_radius"].where(rows["correct"], 0.0).to_numpy(dtype=float)
    images = rows["index"].to_numpy()
    return {
        str(cell): pd.Series(radii[at], index=images[at])
        for cell, at in rows.groupby("cell", sort=False).indices.items()
    }


def certificates(results: Results) -> pd.DataFrame:
    """Return what the certificates of each model come to, a row a done cell, in the plan's order.

    Returns:
        `cell, model, parameters` (text); `n` (images), `accuracy, low, high` (share that is certified at
        all, and right; 95 % Wilson), `abstained` (share), `average_radius` (mean over all images, 0
        where not certified: Zhai et al., MACER, ICLR 2020), `largest`;
        `inside` (certified images whose label some attack of the run changed within their radius) and
        `flag` (where these are more than alpha explains; else empty).
    """
    by_cell, changed = certified_radii(results), _least_changes(results)
    abstained = results.rows.groupby("cell")["abstained"].mean()
    found = []
    for cell, row in _cells(results, by_cell):
        radii = by_cell[cell["cell"]]
        hits, n = int((radii > 0).sum()), len(radii)
        low, high = wilson(hits, n)
        least = changed.get(str(cell["model"]), pd.Series(dtype=float))
        inside = int((least.reindex(radii.index) < radii).sum())
        alpha = number(cell["parameters"]["alpha"], "alpha")
        found.append(row | {
            "n": n, "accuracy": hits / n, "low": low, "high": high,
            "abstained": float(abstained[cell["cell"]]), "average_radius": float(radii.mean()),
            "largest": float(radii.max()), "inside": inside,
            "flag": _flag(inside, n, alpha),
        })  # fmt: skip
    return pd.DataFrame(found, columns=[*_NAMED, "n", "accuracy", "low", "high", "abstained",
                                        "average_radius", "largest", "inside", "flag"])  # fmt: skip


_NAMED = ("cell", "model", "parameters")


def certified_curve(results: Results) -> pd.DataFrame:
    """Return certified accuracy against the l2 radius: a step function, to be drawn to the right.

    Returns:
        `cell, model, parameters, radius` (ascending: 0, each radius certified, and the largest of the run),
        `accuracy, low, high` (95 % Wilson), `n`.
    """
    by_cell = certified_radii(results)
    top = max((float(radii.max()) for radii in by_cell.values()), default=0.0)
    found = []
    for cell, row in _cells(results, by_cell):
        radii = by_cell[cell["cell"]].to_numpy()
        for eps in np.unique([0, *radii, top]):
            found.append(row | {"radius": float(eps), **_share(radii > eps)})
    return pd.DataFrame(found, columns=[*_NAMED, "radius", "accuracy", "low", "high", "n"])


def sandwich(results: Results) -> pd.DataFrame:
    """Return certified accuracy and accuracy under attack at each l2 radius that attacks were given.

    Of the images that the certificates and all valid attacks of the radius have.

    Returns:
        A row a done cell of certificates and radius: `cell, model, parameters, eps` (float), `eps_text`,
        `n, certified, certified_low, certified_high, attacked, low, high` (95 % Wilson; `attacked` is
        the share whose label no attack changed within eps), `abstained` (share of n that is among
        these, though the judge abstained), `attacks` (that aim at eps and count), and
        `flag` (certified above attacked, and what the attacks did not see of the noise).
    """
    by_cell = certified_radii(results)
    cells = accuracy_attacks(results)
    cells = cells[(cells["norm"] == "l2") & (cells["flag"] == "")]
    breaks = _breaks(results, cells, abstaining=False)
    falls = _breaks(results, cells, abstaining=True)
    found = []
    for cell, row in _cells(results, by_cell):
        mine = cells[cells["model"] == cell["model"]]
        asked = mine[mine["kind"] == "fixed"].drop_duplicates("radius").sort_values("radius")
        for eps, text in zip(asked["radius"], asked["eps"], strict=True):
            aimed = mine[(mine["radius"] == eps) | (mine["kind"] == "minimal")]
            figures = _between(
                by_cell[cell["cell"]], breaks, falls, mine["cell"], aimed["cell"], eps
            )
            flags = (figures.pop("flag"), unseen_noise(set(aimed["surface"])))
            found.append(
                row | {"eps": eps, "eps_text": text, "attacks": len(aimed)} | figures
                | {"flag": "; ".join(flag for flag in flags if flag)}
            )  # fmt: skip
    return pd.DataFrame(found, columns=[
        *_NAMED, "eps", "eps_text", "n", "certified", "certified_low", "certified_high", "attacked",
        "low", "high", "abstained", "attacks", "flag",
    ])  # fmt: skip


def _between(
    radii: pd.Series[float],
    breaks: Mapping[str, pd.Series[float]],
    falls: Mapping[str, pd.Series[float]],
    cells: pd.Series[str],
    aimed: pd.Series[str],
    eps: float,
) -> dict[str, Any]:
    """Return the figures of one model at one radius; `cells` are its own, `aimed` those of eps."""
    least = tried_by_all(side_by_side(breaks, cells), aimed)
    shared = least.index.intersection(radii.index)
    changed = broken(least.loc[shared].to_numpy().min(axis=1), eps)
    fallen = broken(
        side_by_side(falls, cells).fillna(np.inf).loc[shared].min(axis=1).to_numpy(), eps
    )
    certified, under = _share(radii.loc[shared].to_numpy() > eps), _share(~changed)
    above = certified["accuracy"] > under["accuracy"]
    return {
        "n": len(shared), "certified": certified["accuracy"], "certified_low": certified["low"],
        "certified_high": certified["high"], "attacked": under["accuracy"], "low": under["low"],
        "high": under["high"], "abstained": float((fallen & ~changed).mean()) if len(shared) else 0.0,
        "flag": "certified above attacked" if above else "",
    }  # fmt: skip


def _cells(
    results: Results, done: Mapping[str, pd.Series[float]]
) -> list[tuple[dict[Any, Any], dict[str, Any]]]:
    """Return the done cells of certificates, each with the columns that name it."""
    cells = results.cells[results.cells["cell"].isin(done)].to_dict("records")
    return [
        (
            cell,
            {"cell": cell["cell"], "model": cell["model"], "parameters": _said(cell["parameters"])},
        )
        for cell in cells
    ]


def _said(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{parameter} {parameters[parameter]}" for parameter in ("n0", "n", "alpha"))


def _breaks(
    results: Results, cells: pd.DataFrame, *, abstaining: bool
) -> dict[str, pd.Series[float]]:
    """Return the l2 distance at which each image's label is another, by cell, indexed by image.

    -1 where it is already on the clean image, infinite where no attack changed it. Abstentions are
    another label, or show nothing.
    """
    rows = results.rows[results.rows["cell"].isin(cells["cell"])]
    wrong = ~rows["correct"] & (abstaining | (rows["clean_label"] >= 0))
    won = rows["success"] | (abstaining & rows["correct"] & rows["abstained"])
    distance = rows["l2"].astype(float).where(won, np.inf).mask(wrong, -1.0).to_numpy()
    images = rows["index"].to_numpy()
    return {
        str(cell): pd.Series(distance[at], index=images[at])
        for cell, at in rows.groupby("cell", sort=False).indices.items()
    }


def _least_changes(results: Results) -> dict[str, pd.Series[float]]:
    """Return the least l2 distance at which an attack of any norm changed each label, by model."""
    rows = results.rows[results.rows["success"]]
    rows = rows[rows["goal"] != "confidence-reduction"]
    return {
        str(model): mine.groupby("index")["l2"].min()
        for model, mine in rows.groupby("model", sort=False)
    }


def _flag(inside: int, asked: int, alpha: float) -> str:
    """Return that more certificates are wrong than alpha explains; empty where they are not.

    alpha is of all that are asked for, of which many may be refused, not of those that are given.
    """
    if not inside or float(binom.sf(inside - 1, asked, alpha)) >= _UNLIKELY:
        return ""
    return f"labels changed within {inside} radii of {asked} asked for; alpha is {alpha:g}"


def _share(stands: Any) -> dict[str, Any]:
    hits, n = int(stands.sum()), len(stands)
    low, high = wilson(hits, n)
    return {"accuracy": hits / n if n else float("nan"), "low": low, "high": high, "n": n}

"""When an image of a model is broken: the one rule under every figure.

An image of a model *falls* at the distance

    d = -1                            the model gets the clean image wrong
    d = the cell's norm of the change the attack succeeded, or made the model abstain
    d = infinity                      otherwise

and is broken within eps iff d < 0, or eps > 0 and d <= eps (1 + 1e-5) + 1e-6. The slack is the
judge's own, so that an attack that used its whole budget counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.measure.rates import wilson
from bench.spec import EXPECTED_SURFACE, NOISELESS_SURFACE, ONE_DRAW_SURFACE, number
from bench.store.columns import attacked
from bench.store.results import Results


def clean_answers(results: Results) -> dict[str, pd.Series[bool]]:
    """Return whether each model gets each image right, by model, indexed by image."""
    # A certificate is another decision than a prediction, from other noisy copies.
    rows = results.rows.loc[results.rows["kind"] != "certify", ["model", "index", "correct"]]
    rows = rows.drop_duplicates(["model", "index"])
    return {
        str(model): mine.set_index("index")["correct"]
        for model, mine in rows.groupby("model", sort=False)
    }


#: What is said of a random model that was attacked so, and not through the mean of many draws.
ONE_DRAW = "through one noise draw only"
WITHOUT_NOISE = "through the network without noise only"


def unseen_noise(surfaces: Collection[str]) -> str:
    """Return what attacks on these surfaces did not see of a random model's noise; empty where nothing."""
    if EXPECTED_SURFACE in surfaces:
        return ""
    if ONE_DRAW_SURFACE in surfaces:
        return ONE_DRAW
    return WITHOUT_NOISE if NOISELESS_SURFACE in surfaces else ""


def flagged_cells(results: Results) -> pd.DataFrame:
    """Return the planned cells that attack, with `flag`: why one cannot count, empty where it can."""
    cells = results.cells[results.cells["kind"] != "certify"]
    rows = results.rows[attacked(results.rows)]
    spoilt = rows["invalid"].notna()
    useless = (spoilt | (rows["l0"] == 0)).groupby(rows["cell"]).all()
    reached = set(rows["cell"])
    hopeless = spoilt.groupby(rows["cell"]).all()
    flags = []
    for cell in cells[["cell", "status", "error", "goal"]].to_dict("records"):
        if cell["status"] == "failed":
            flags.append(f"INVALID: did not run: {cell['error']}")
        elif cell["status"] == "missing":
            flags.append("INVALID: did not run yet")
        elif hopeless.get(cell["cell"], False):
            flags.append("INVALID: gave no valid image")
        elif useless.get(cell["cell"], False):
            flags.append("INVALID: changed no image")
        elif cell["goal"] in ("targeted", "source-target") and cell["cell"] not in reached:
            flags.append("INVALID: had no image to attack")
        else:
            flags.append("")
    return cells.assign(flag=pd.Series(flags, index=cells.index, dtype="str"))


def label_changing(results: Results) -> pd.DataFrame:
    """Return the cells whose attacks try to take the right answer away, in the plan's order.

    Not those that try it only on images of which the model is sure: they say nothing of the others.

    Returns:
        Rows of `Results.cells` with `flag`: why a cell cannot count, empty where it can.
    """
    cells = flagged_cells(results)
    return cells[(cells["goal"] != "confidence-reduction") & ~choosy(cells)]


def choosy(cells: pd.DataFrame) -> pd.Series[bool]:
    """Return which cells attack only images of which the model is sure."""
    least = [
        number(words.get("least_confidence", 0), "least_confidence") for words in cells["words"]
    ]
    return pd.Series([one > 0 for one in least], index=cells.index, dtype=bool)


def beaten(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return where an attack took the right answer away: a success, or an abstention it forced."""
    won = rows["success"] & (rows["goal"] != "confidence-reduction")
    return won | (attacked(rows) & rows["abstained"] & rows["invalid"].isna())


def fall_distances(results: Results) -> dict[str, pd.Series[float]]:
    """Return the distance at which each image falls, by done cell, indexed by image.

    The rule is at the head of this file.
    """
    rows = results.rows
    own = np.full(len(rows), np.nan)
    for norm in rows["norm"].unique():
        there = (rows["norm"] == norm).to_numpy()
        own[there] = rows[norm].to_numpy(dtype=float)[there]
    fall = np.where(beaten(rows), own, np.inf)
    fall[~rows["correct"].to_numpy()] = -1.0
    images = rows["index"].to_numpy()
    return {
        str(cell): pd.Series(fall[at], index=images[at])
        for cell, at in rows.groupby("cell", sort=False).indices.items()
    }


def side_by_side(falls: Mapping[str, pd.Series[float]], cells: Iterable[str]) -> pd.DataFrame:
    """Return the distances at which each image (rows) falls to each of some cells (columns).

    Cells that are not done are left out. NaN where a cell does not have an image.
    """
    return pd.DataFrame({cell: falls[cell] for cell in cells if cell in falls})


def tried_by_all(falls: pd.DataFrame, cells: Iterable[str]) -> pd.DataFrame:
    """Return the images that all of some cells have: to what did not try it no image is robust.

    Args:
        falls: of `side_by_side`.
        cells: those that must have an image; it does not fall to any other that lacks it.
    """
    return falls.dropna(subset=[cell for cell in cells if cell in falls]).fillna(np.inf)


def standing(falls: pd.DataFrame, eps: float) -> dict[str, float]:
    """Return the share of images that no cell broke within eps.

    Args:
        falls: of `tried_by_all`, with at least one cell.
        eps: the radius, in the cells' norm.

    Returns:
        `accuracy, low, high` (95 % Wilson), `n` (images).
    """
    stands = ~broken(falls.to_numpy().min(axis=1), eps)
    low, high = wilson(int(stands.sum()), len(stands))
    return {"accuracy": float(stands.mean()), "low": low, "high": high, "n": len(stands)}


def broken(fall: npt.NDArray[np.float64], eps: float) -> npt.NDArray[np.bool_]:
    """Return which images are broken within eps, by the distances at which they fall."""
    within: npt.NDArray[np.bool_] = fall < 0 if eps == 0 else fall <= eps * (1 + 1e-5) + 1e-6
    return within


def shortfall(cells: pd.DataFrame) -> str:
    """Return how many attacks do not count and why, such as `1 of 9 attacks did not run`."""
    reasons = cells.loc[cells["flag"] != "", "flag"].map(
        lambda flag: "did not run" if "did not run" in flag else flag.removeprefix("INVALID: ")
    )
    return "; ".join(
        f"{count} of {len(cells)} attacks {reason}"
        for reason, count in reasons.value_counts().items()
    )

"""When an image of a model is broken: the one rule under every figure.

An image of a model *falls* at the distance

    d = -1                            the model gets the clean image wrong
    d = the cell's norm of the change the attack succeeded, or made the model abstain
    d = infinity                      otherwise

and is broken within eps iff d < 0, or eps > 0 and d <= eps (1 + 1e-5) + 1e-6. The slack is the
judge's own, so that an attack that used its whole budget counts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.store.columns import attacked
from bench.store.results import Results


def checked_cells(results: Results) -> pd.DataFrame:
    """Return the planned cells with `flag`, why a cell cannot count, empty where it can."""
    rows = results.rows[attacked(results.rows)]
    spoilt = rows["invalid"].notna()
    useless = (spoilt | (rows["l0"] == 0)).groupby(rows["cell"]).all()
    reached = set(rows["cell"])
    hopeless = spoilt.groupby(rows["cell"]).all()
    flags = []
    for _, cell in results.cells.iterrows():
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
    return results.cells.assign(flag=pd.Series(flags, index=results.cells.index, dtype="str"))


def label_changing(results: Results) -> pd.DataFrame:
    """Return the checked cells whose attacks try to take the right answer away."""
    cells = checked_cells(results)
    return cells[cells["goal"] != "confidence-reduction"]


def clean_outcomes(results: Results, model: str) -> pd.Series[bool]:
    """Return whether the model gets each image right, by image."""
    rows = results.rows[results.rows["model"] == model]
    return rows.groupby("index")["correct"].first()


def beaten(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return where an attack took the right answer away: a success, or an abstention it forced."""
    won = rows["success"] & (rows["goal"] != "confidence-reduction")
    return won | (attacked(rows) & rows["abstained"] & rows["invalid"].isna())


def fall_distances(rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the distance at which each image falls (rows) to each done cell (columns).

    Args:
        rows: of these cells, of others too.
        cells: of one model and norm.
    """
    rows = rows[rows["cell"].isin(cells["cell"])]
    if rows.empty:
        return pd.DataFrame()
    norm = cells["norm"].iloc[0]
    fall = rows[norm].where(beaten(rows), np.inf).where(rows["correct"], -1.0)
    table = rows.assign(fall=fall).pivot_table(
        index="index", columns="cell", values="fall", aggfunc="min"
    )
    return table.fillna(np.inf)


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

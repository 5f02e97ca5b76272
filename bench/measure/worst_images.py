"""The images behind a figure of the headline: of each image of the split the worst that was tried within eps.

They are those that the run kept (`bench run --keep all`), not made again: so they are the very images that
were judged, on any machine, and need no model. Each is compared with its row before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.errors import PrerequisiteError, StoreError
from bench.measure.headline import worst_case
from bench.measure.norms import distances
from bench.measure.outcomes import Outcomes, broken
from bench.store.columns import attacked
from bench.store.identity import canonical_json

#: Distances are stored in float64, and computed on other processors in another order.
_SAME = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class WorstImages:
    """The worst images of a model under a threat.

    Attributes:
        index: int64 (N,), of each in the split, ascending.
        labels: int64 (N,), the true ones.
        x_adv: float32 (N, C, H, W): the clean image where the model is wrong about it, or no image that was
            tried counts.
        facts: by name, lists of N: `attack` and `toolkit` (empty for a clean image), `adv_label`, `broken`.
    """

    index: torch.Tensor
    labels: torch.Tensor
    x_adv: torch.Tensor
    facts: Mapping[str, list[Any]]


def worst_images(outcomes: Outcomes, model: str, norm: str, eps: float) -> WorstImages | None:
    """Return the images behind a figure of the headline; None where that is INVALID.

    Of the images tried that count, one that takes the label away comes first, then the one with the lowest
    margin of the true class; of a random model the one that fewest draws get right.

    Raises:
        PrerequisiteError: the run did not keep all images.
        StoreError: an image is missing or damaged, or is not the one that its row is about.
    """
    worst = worst_case(outcomes, model, norm, eps)
    if worst is None or worst.invalid:
        return None
    cells = outcomes.cells[
        (outcomes.cells["model"] == model)
        & (outcomes.cells["norm"] == norm)
        & (outcomes.cells["status"] == "done")
    ]
    holders = _holders(outcomes, cells)
    index = worst.robust.index.sort_values()
    chosen = _chosen(outcomes, cells, eps, index)
    tried = chosen["tried"].to_numpy(dtype=bool)
    images: dict[int, torch.Tensor] = {}
    for cell, rows in chosen.groupby("cell", sort=False):
        images |= _images(outcomes, holders[str(cell)], rows)
    return WorstImages(
        index=torch.tensor(index.to_numpy(dtype=np.int64)),
        labels=torch.tensor(chosen["label"].to_numpy(dtype=np.int64)),
        x_adv=torch.stack([images[position] for position in index.tolist()]),
        facts={
            "attack": [name if own else "" for name, own in zip(chosen["attack"], tried, strict=True)],
            "toolkit": [kit if own else "" for kit, own in zip(chosen["toolkit"], tried, strict=True)],
            "adv_label": [
                int(adv if own and not pd.isna(adv) else before)
                for adv, before, own in zip(
                    chosen["adv_label"], chosen["clean_label"], tried, strict=True
                )
            ],
            "broken": [bool(share < 0.5) for share in worst.robust.reindex(index)],
        },
    )  # fmt: skip


def _chosen(
    outcomes: Outcomes, cells: pd.DataFrame, eps: float, index: pd.Index[Any]
) -> pd.DataFrame:
    """Return a row for each image: that of the worst image tried, else any, with `tried` telling which."""
    rows = outcomes.results.rows
    rows = rows.assign(lost=outcomes.lost)[
        rows["cell"].isin(cells["cell"]) & rows["index"].isin(index)
    ]
    length = rows[str(cells["norm"].iloc[0])].to_numpy(dtype=np.float64, na_value=np.inf)
    tried = attacked(rows) & rows["invalid"].isna() & broken(length, eps)
    by_draws = rows["chosen_share"].astype("float64")
    badness = by_draws.where(by_draws.notna(), rows["adv_margin"].astype("float64"))
    # Of ties the first in the order of the plan.
    turn = rows["cell"].map({cell: place for place, cell in enumerate(cells["cell"])})
    order = rows.assign(tried=tried, badness=badness, turn=turn).sort_values(
        ["index", "tried", "lost", "badness", "turn"], ascending=[True, False, False, True, True]
    )
    return order.drop_duplicates("index").reset_index(drop=True)


def _holders(outcomes: Outcomes, cells: pd.DataFrame) -> dict[str, str]:
    """Return by cell the one that keeps its images: itself, or the one on whose model they were crafted.

    Raises:
        PrerequisiteError: some keep only a few.
    """
    every, store = outcomes.results.cells, outcomes.results.store
    by_kind = {(_kind(cell), cell["model"]): str(cell["cell"]) for cell in every.to_dict("records")}
    holders, few = {}, 0
    for cell in cells.to_dict("records"):
        key = str(cell["cell"])
        source = by_kind.get((_kind(cell), cell["crafted_on"]), key)
        holders[key] = next((one for one in (key, source) if _keeps_all(store.record(one))), "")
        few += holders[key] == ""
    if few:
        raise PrerequisiteError(
            f"{few} of {len(cells)} attacks on {cells['model'].iloc[0]} kept only some of the images they tried; the "
            f"same bench run with --keep all makes these again and keeps all"
        )
    return holders


def _kind(cell: Mapping[Any, Any]) -> str:
    """Return a text that is the same for cells that judge the same images."""
    named = [cell[name] for name in ("attack", "norm", "eps", "toolkit", "surface", "batch_size")]
    return canonical_json([*map(str, named), dict(cell["parameters"])])


def _keeps_all(record: Mapping[str, Any] | None) -> bool:
    return record is not None and int(record["pictures"]) >= int(record["rows"])


def _images(outcomes: Outcomes, holder: str, rows: pd.DataFrame) -> dict[int, torch.Tensor]:
    """Return the images of some rows of a cell by their index, the clean ones where none that was tried counts.

    Raises:
        StoreError: a file is missing or damaged, or an image is not the one that its row is about.
    """
    kept = outcomes.results.store.pictures(holder)
    place = {position: at for at, position in enumerate(kept["index"].tolist())}
    at = torch.tensor([place[position] for position in rows["index"].tolist()])
    x, x_adv = kept["x"][at], kept["x_adv"][at]
    tried = torch.tensor(rows["tried"].to_numpy(dtype=bool))
    _check(holder, rows[tried.numpy()], distances(x[tried], x_adv[tried]))
    worst = torch.where(tried.view(-1, 1, 1, 1), x_adv, x)
    return dict(zip(rows["index"].tolist(), worst, strict=True))


def _check(cell: str, rows: pd.DataFrame, lengths: Mapping[str, torch.Tensor]) -> None:
    """Raise a StoreError unless images lie as far from the clean ones as their rows say."""
    for norm, found in lengths.items():
        said = rows[norm].to_numpy(dtype=np.float64)
        wrong = ~np.isclose(found.numpy(), said, rtol=_SAME, atol=_SAME)
        if wrong.any():
            first = int(rows["index"].to_numpy()[wrong][0])
            raise StoreError(
                f"cell {cell[:12]}: the image kept of {int(wrong.sum())} of {len(rows)} rows is not the one that was "
                f"judged, that of image {first} first; make them again with: bench run --overwrite always --keep all"
            )

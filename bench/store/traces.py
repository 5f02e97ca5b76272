"""How near its goal each image of an attack was, step by step: what figures of a search are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import torch


def trace_table(chunks: Sequence[Mapping[str, torch.Tensor]]) -> pd.DataFrame | None:
    """Return the traces of chunks as a row an image and step; None where there are none.

    Args:
        chunks: `index` int64 (k,), and `values` float32 (k, most steps + 1), NaN after an image's last.

    Returns:
        `index` (position in the image set), `step` (0 before the first) and `value`, what the attack
        makes small or large: of one-pixel the best probability of the label or of the wanted class so
        far. Images that were not attacked have no rows.
    """
    tables = []
    for chunk in chunks:
        index, values = chunk["index"].numpy(), chunk["values"].numpy()
        image, step = (values == values).nonzero()
        tables.append(
            pd.DataFrame({"index": index[image], "step": step, "value": values[image, step]})
        )
    return pd.concat(tables, ignore_index=True) if tables else None

"""Raw numbers as CSV files; each row names its run, so that files can be pooled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.errors import SpecError
from bench.report.blocks import Origin

#: What columns are called in tables for people and in files alike.
_CALLED = {"worst": "strongest", "flag": "note"}


def render(origin: Origin, frames: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Return a file for each frame, `SUITE-NAME.csv`.

    Raises:
        SpecError: a frame has a column of its own under the name of one that says which run it is of.
    """
    return {
        f"{origin.suite}-{name}.csv": _with_origin(name, frame, origin)
        .to_csv(index=False, lineterminator="\n")
        .encode()
        for name, frame in frames.items()
    }


def _with_origin(name: str, frame: pd.DataFrame, origin: Origin) -> pd.DataFrame:
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise SpecError(f"frame {name!r} has two columns {twice!r}; rename one")
    if "model" in frame and "data" not in frame:
        data = [origin.data_of.get(str(model), origin.data) for model in frame["model"]]
    else:
        data = list(frame["data"]) if "data" in frame else [origin.data] * len(frame)
    whence: dict[str, Any] = {
        "suite": origin.suite, "dataset": data, "split": origin.split, "run_seed": origin.seed,
        "run_started": origin.started, "version": origin.version,
    }  # fmt: skip
    for column in (column for column in whence if column in frame):
        if list(frame[column]) != list(frame.assign(**{column: whence[column]})[column]):
            raise SpecError(
                f"frame {name!r} has a column {column!r}, which in every file says what run it is of; "
                f"rename the frame's own"
            )
    called = {old: new for old, new in _CALLED.items() if new not in frame}
    return frame.rename(columns=called).assign(**whence)

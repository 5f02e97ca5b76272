"""Raw numbers as CSV files; each row names its run, so that files can be pooled."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.report.blocks import Origin

#: What columns are called in tables for people and in files alike.
_CALLED = {"worst": "strongest", "flag": "note"}


def render(origin: Origin, frames: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Return a file for each frame, `SUITE-NAME.csv`."""
    return {
        f"{origin.suite}-{name}.csv": _with_origin(frame, origin)
        .to_csv(index=False, lineterminator="\n")
        .encode()
        for name, frame in frames.items()
    }


def _with_origin(frame: pd.DataFrame, origin: Origin) -> pd.DataFrame:
    if "model" in frame and "data" not in frame:
        data = [origin.data_of.get(str(model), origin.data) for model in frame["model"]]
    else:
        data = list(frame["data"]) if "data" in frame else [origin.data] * len(frame)
    called = {old: new for old, new in _CALLED.items() if new not in frame}
    return frame.rename(columns=called).assign(
        suite=origin.suite, dataset=data, split=origin.split, run_seed=origin.seed,
        run_started=origin.started, version=origin.version,
    )  # fmt: skip

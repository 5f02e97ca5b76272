"""The folders that the environment names: `BENCH_DATA` and `BENCH_CACHE`."""

from __future__ import annotations

import os
from pathlib import Path

#: Folders of the cache whose files were downloaded: they are the same wherever that is done again.
DOWNLOADED = ("data", "robustbench")


def cache_dir() -> Path:
    """Return the folder for what can be made again: `BENCH_CACHE`, else a folder in the user's cache."""
    named = os.environ.get("BENCH_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "crossfire"


def data_dir(named: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the data sets: as named, else `BENCH_DATA`, else inside the cache."""
    return Path(named or os.environ.get("BENCH_DATA") or cache_dir() / "data")

"""What trackers are given of a run: its headline as named figures, what it was made with, and its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.sections.headline import headline_table
from bench.store.results import Results

#: Where runs lie together, unless the tracker's own settings say otherwise.
PROJECT = "crossfire"

_FIGURES = ("clean_accuracy", "robust_accuracy", "low", "high", "n", "attacks", "planned")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run as it is logged.

    Attributes:
        suite: its name.
        run: the name of the run.
        parameters: what it was made with, and the verdict on each figure, as text.
        figures: by `MODEL/THREAT/FIGURE`: shares from 0 to 1, and counts; those that are INVALID are missing.
        headline: the table as people read it.
        files: of its report.
        out: the folder of reports.
    """

    suite: str
    run: str
    parameters: Mapping[str, str]
    figures: Mapping[str, float]
    headline: pd.DataFrame
    files: Sequence[Path]
    out: Path

    @property
    def title(self) -> str:
        """Return what the run is called in a tracker."""
        return f"{self.suite} {self.run}"


def tracked_run(
    results: Results, headline: pd.DataFrame, files: Sequence[Path], out: Path
) -> TrackedRun:
    """Return a run as it is logged.

    Args:
        results: of the run.
        headline: with verdicts.
        files: of its report.
        out: the folder of reports.
    """
    rows = {f"{_plain(row['model'])}/{_threat(row)}": row for row in headline.to_dict("records")}
    figures = {
        f"{name}/{figure}": float(row[figure])
        for name, row in rows.items()
        for figure in _FIGURES
        if not formatting.missing(row[figure])
    }
    verdicts = {f"{name}/trust": str(row["trust"]) for name, row in rows.items()}
    return TrackedRun(
        suite=results.suite, run=results.run, parameters=_made_with(results) | verdicts, figures=figures,
        headline=headline_table(results, headline).frame, files=tuple(files), out=out,
    )  # fmt: skip


def _made_with(results: Results) -> dict[str, str]:
    protocol = results.protocol
    facts = {name: protocol.get(name) for name in ("split", "images", "seed", "device", "host")}
    versions = {
        f"version/{name}": version for name, version in protocol.get("versions", {}).items()
    }
    return {
        "suite": results.suite, "run": results.run, "started": results.started,
        "data": formatting.data(protocol), **{name: str(value) for name, value in (facts | versions).items()},
    }  # fmt: skip


def _threat(row: Mapping[Any, Any]) -> str:
    return f"{row['norm']}-{_plain(str(row['eps_text'])).replace('/', '-')}"


def _plain(name: str) -> str:
    """Return a name in the signs that every tracker takes."""
    return re.sub(r"[^A-Za-z0-9_./-]+", "-", name)

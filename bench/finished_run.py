"""What `bench.run` returns: the results of a run, and its tables as frames."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.data.table import DATASETS
from bench.measure.handed_in import fates
from bench.measure.headline import headline
from bench.measure.outcomes import Outcomes
from bench.runner.execute import Outcome
from bench.spec import HANDED_IN_SURFACE
from bench.store.results import Results
from bench.trust.checks.parity import parity
from bench.trust.claims import claims
from bench.trust.comparisons import comparisons
from bench.trust.headline_trust import with_trust
from bench.trust.run_findings import TOLD, run_findings


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run of a suite: its results, and how the run itself went.

    Attributes:
        results: the stored results of the suite's cells.
        outcome: the cells that this run computed, kept and failed on.
        published: the file of a study's published figures; None for a suite that is no study.
    """

    results: Results
    outcome: Outcome
    published: Path | None = None

    def samples(self) -> pd.DataFrame:
        """Return one row per image of every finished cell."""
        return self.results.rows

    def cells(self) -> pd.DataFrame:
        """Return one row per cell, with its state and its summary."""
        return self.results.cells

    def headline(self) -> pd.DataFrame:
        """Return one row per model and threat: its robust accuracy, worst case per image, and its `trust`."""
        outcomes = Outcomes(self.results.as_asked())
        return with_trust(headline(outcomes), outcomes, run_findings(outcomes))

    def findings(self) -> pd.DataFrame:
        """Return one row per finding of a check: what was found, of whose figures, and what to do."""
        return run_findings(Outcomes(self.results.as_asked()))[[*TOLD]]

    def parity(self) -> pd.DataFrame:
        """Return one row per attack and pair of toolkits: how closely they agree."""
        return parity(self.results.as_asked())

    def claims(self) -> pd.DataFrame:
        """Return one row per claim of the suite, with its verdict; none if it makes no claims."""
        return claims(self.results, comparisons(Outcomes(self.results.without_added())))

    def fates(self) -> pd.DataFrame:
        """Return a row for each finished cell of images that others made: how many of them met each fate.

        `cell, model, file`, and numbers of images by what became of them: `wrong before`, `broken`, `withstood`,
        `not handed in`, and why others do not count. Empty in a run without such images.
        """
        cells = self.results.cells
        judged = cells[(cells["surface"] == HANDED_IN_SURFACE) & (cells["status"] == "done")]
        found = []
        for cell in judged.to_dict("records"):
            rows = self.results.rows[self.results.rows["cell"] == cell["cell"]]
            named = {
                "cell": cell["cell"],
                "model": cell["model"],
                "file": cell["parameters"]["file"],
            }
            values = math.prod(DATASETS[cell["data"]].input_shape)
            found.append({**named, **fates(rows, values)})
        return pd.DataFrame(found)

    def _repr_html_(self) -> str:
        """Return headline, verdicts, curves and claims as a notebook shows them."""
        from bench.report.notebook import run_html  # takes seconds to import, since it draws

        return run_html(self.results, self.headline(), self.claims())

    def report(
        self,
        out: str | os.PathLike[str] = "reports",
        formats: Collection[str] = ("pdf", "csv"),
    ) -> dict[str, list[Path]]:
        """Write the report of this run and return the files of each format.

        Args:
            out: the folder to write to; created if it is missing.
            formats: some of `pdf`, `csv` and `latex`.

        Raises:
            SpecError: an unknown format.
            StoreError: a file cannot be written.
        """
        from bench.report.write import write_report  # takes seconds to import, since it draws

        return write_report(self.results, Path(out), formats, self.published)

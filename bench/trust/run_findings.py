"""What the checks of a run found, as a table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.trust.checks.parity import PARITY
from bench.trust.checks.registry import run_checks

_COLUMNS = (
    "check", "title", "subject", "status", "value", "bound", "sentence", "remedy", "model", "norm", "eps", "cell",
)  # fmt: skip


def run_findings(outcomes: Outcomes) -> pd.DataFrame:
    """Return a row a finding of the checks that need rows or cells.

    Without those of `parity`, whose comparisons are a table of their own.

    Returns:
        `check` (its id), `title`, `subject` (empty for the whole run), `status` (pass, warn, fail or
        not applicable), `value` (compared with the bound; null where there is none), `bound`,
        `sentence` (what was found), `remedy`, and whose figures it is about: `model` (title; empty for
        all), `norm` (empty for all), `eps` (null for all), `cell` (key; empty for more than one).
    """
    left_out = (PARITY.id,)
    pairs = [
        *run_checks("rows", outcomes, left_out),
        *run_checks("cells", outcomes.results, left_out),
    ]
    rows = [
        (check.id, check.title, found.subject, found.status, _amount(found.value), found.bound,
         found.sentence, found.remedy, found.model, found.norm, _amount(found.eps), found.cell)
        for check, found in pairs
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"value": "float64", "eps": "float64"})


def _amount(value: Any) -> float | None:
    """Return a value that a check may have given as a number of numpy or torch."""
    return None if value is None else float(value)

"""What the checks of a run found, as a table: those of its rows, made here, and those of models and threats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.measure.outcomes import Outcomes
from bench.measure.threats import same_radius
from bench.spec import eps_text
from bench.store.findings import Checked
from bench.store.results import Results
from bench.trust.checks.parity import PARITY
from bench.trust.checks.registry import Check, Finding, run_checks

#: What a reader is told of a finding.
TOLD = (
    "check", "title", "subject", "status", "value", "bound", "sentence", "remedy", "model", "norm", "eps",
    "eps_text", "cell",
)  # fmt: skip
#: What a verdict on a figure follows from besides; of `bench.trust.checks.registry.Check`.
RULES = ("doubts", "masks", "overstates")


def run_findings(outcomes: Outcomes) -> pd.DataFrame:
    """Return a row a finding: of the checks that need rows or cells, and of those that were made before.

    They are about the attacks that the suite asks for; what was added because of them is what they say has to
    be done. Without those of `parity`, whose comparisons are a table of their own.

    Returns:
        `check` (its id), `title`, `subject` (empty for the whole run), `status` (pass, warn, fail or
        not applicable), `value` (compared with the bound; null where there is none), `bound`,
        `sentence` (what was found), `remedy`, and whose figures it is about: `model` (title; empty for
        all), `norm` (empty for all), `eps` (null for all) with `eps_text`, `cell` (key; empty for more than
        one); and of its check `doubts, masks, overstates`.
    """
    results = outcomes.results
    asked = results.without_added()
    judged = outcomes if asked is results else Outcomes(asked)
    left_out = (PARITY.id,)
    pairs = [*run_checks("rows", judged, left_out), *run_checks("cells", asked, left_out)]
    made_now = (facts(check) | plain(found) for check, found in pairs)
    return _done(_table([*made_now, *made_before(results.checked)], results), outcomes)


def _table(rows: list[dict[str, Any]], results: Results) -> pd.DataFrame:
    """Return findings as a table; see `run_findings`."""
    types = {"value": "float64", "eps": "float64"} | dict.fromkeys(RULES, "bool")
    found = pd.DataFrame(rows, columns=[*TOLD, *RULES]).astype(types)
    written = dict(zip(results.cells["radius"], results.cells["eps"], strict=True))
    texts = ["" if pd.isna(eps) else str(written.get(eps) or eps_text(eps)) for eps in found["eps"]]
    return found.assign(eps_text=pd.Series(texts, index=found.index, dtype="str"))


def _done(findings: pd.DataFrame, outcomes: Outcomes) -> pd.DataFrame:
    """Return findings, those of which say that they were answered that an attack was added for."""
    cells = outcomes.cells
    against = findings["masks"] & findings["status"].isin(["warn", "fail"])
    for cell in cells[cells["auto"] & (cells["flag"] == "")].to_dict("records"):
        at_eps = findings["eps"].isna() | same_radius(findings["eps"], float(cell["radius"]))
        of_norm = findings["norm"].isin(["", cell["norm"]])
        answered = against & (findings["model"] == cell["model"]) & of_norm & at_eps
        remedy = findings["remedy"].mask(answered, f"done: {cell['attack']} was added")
        findings = findings.assign(remedy=remedy)
    return findings


def made_before(checked: Checked) -> Iterator[dict[str, Any]]:
    """Yield the findings of the checks of models and threats, a row each."""
    for record in checked.found:
        for found in record["findings"]:
            yield {name: record[name] for name in ("check", "title", *RULES)} | dict(found)


def facts(check: Check) -> dict[str, Any]:
    """Return what a table and a record of findings say of a check."""
    return {"check": check.id, "title": check.title} | {
        name: getattr(check, name) for name in RULES
    }


def plain(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain JSON values by name."""
    values: Mapping[str, Any] = {
        name: getattr(finding, name) for name in TOLD if name not in ("check", "title", "eps_text")
    }
    return {**values, "value": _amount(finding.value), "eps": _amount(finding.eps)}


def _amount(value: Any) -> float | None:
    """Return a value that a check may have given as a number of numpy or torch."""
    return None if value is None else float(value)

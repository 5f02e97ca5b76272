"""The configurations of local learning: a section of every run that has models of this kind.

A model is one where its recorded options name the rule by which it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.report import formatting
from bench.report.blocks import Column, Section, Table, tabulate
from bench.report.findings import Findings
from bench.report.rules import SectionRule
from bench.store.results import Results

#: What a configuration of local learning may have, in the order of its columns.
PARTS = ("rule", "K", "w", "m", "p", "delta", "n", "pool", "activation", "seed")
_TEXTS = ("rule", "activation")


def section(findings: Findings) -> Section | None:
    """Return the table of configurations; in brief none, since the published tables have them."""
    found = configurations(findings.results, findings.measured.headline)
    if found.empty or findings.study.brief:
        return None
    table = configuration_table(found)
    return Section(label="configurations", title="Configurations", blocks=(table,))


def frames(findings: Findings) -> Mapping[str, pd.DataFrame]:
    """Return the raw figures of configurations, of a run that has some."""
    found = configurations(findings.results, findings.measured.headline)
    return {"grid": found} if len(found) else {}


def configurations(results: Results, headline: pd.DataFrame) -> pd.DataFrame:
    """Return a row a model that is a configuration, in the run's order; no rows without such models.

    Args:
        results: the run.
        headline: of `bench.measure.headline.headline`.

    Returns:
        `model`, the parts (`PARTS`; null where its rule has none), `f_score` (null for networks
        without the local rule), `images`, `clean_accuracy` and for each threat its robust
        accuracy, `robust linf 0.1` (NaN where no attack of it is valid).
    """
    found = []
    for model in results.models:
        options = model.get("options") or {}
        if "rule" not in options:
            continue
        row = {"model": model["model"], **{part: options.get(part) for part in PARTS}}
        row["f_score"] = model.get("f_score")
        for threat in headline[headline["model"] == model["model"]].itertuples():
            row |= {"images": threat.n, "clean_accuracy": threat.clean_accuracy}
            row[f"robust {threat.norm} {threat.eps_text}"] = threat.robust_accuracy
        found.append(row)
    table = pd.DataFrame(found)
    whole = {part: "Int64" for part in ("K", "w", "m", "p", "n", "pool", "seed") if part in table}
    return table.astype(whole)


def configuration_table(found: pd.DataFrame) -> Table:
    """Return a row a configuration, in short columns; options that no rule has are left empty.

    Args:
        found: of `configurations`.
    """
    threats = [name for name in found if str(name).startswith("robust ")]
    texts = pd.DataFrame({
        **{part: [_option(value) for value in found[part]] for part in PARTS},
        "f-score": [_score(value) for value in found["f_score"]],
        "clean (%)": [formatting.percent(value) for value in found["clean_accuracy"]],
        **{
            f"{str(name).removeprefix('robust ')} (%)": [formatting.percent(value) for value in found[name]]
            for name in threats
        },
    })  # fmt: skip
    columns = {Column(title, _kind(title)): title for title in map(str, texts)}
    return tabulate(
        texts,
        columns,
        "Configurations of local learning (ll) and their back-propagated twins (bp): the options of each, "
        "the share of its filters that are positive and of unit norm (f-score), clean accuracy, and the "
        "worst case of each threat, in per cent.",
        name="grid",
    )


def _kind(title: str) -> Any:
    return "text" if title in _TEXTS else "rate" if title.endswith("(%)") else "number"


def _option(value: object) -> str:
    if formatting.missing(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _score(value: float | None) -> str:
    return "" if value is None or formatting.missing(value) else f"{value:.2f}"


SECTION = SectionRule(name="configurations", place=75, make=section, frames=frames)

"""A run as a notebook shows it: headline, verdicts, curves and claims in one piece of HTML."""

from __future__ import annotations

import pandas as pd

from bench.measure.curves import curve
from bench.measure.outcomes import Outcomes
from bench.report import formatting
from bench.report.drawing import to_svg
from bench.report.render import html
from bench.report.sections.accuracy import drawn_accuracy
from bench.report.sections.checks import verdict_table
from bench.report.sections.claims import claim_table
from bench.report.sections.headline import headline_table
from bench.report.sections.protocol import cell_counts
from bench.store.chosen import asked_in_words
from bench.store.results import Results

#: The rows of a table that are shown; a study has hundreds.
_ROWS = 40


def run_html(results: Results, headline: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Return a run as HTML that needs no other file.

    Args:
        results: of the run.
        headline: of `Run.headline`.
        claims: of `Run.claims`.
    """
    counts = cell_counts(results)
    states = formatting.joined([f"{count} {state}" for state, count in counts.items() if count])
    started = formatting.date(results.started)
    parts = [
        html.heading(results.title),
        html.paragraph(
            f"Run {results.run}, {started}: {asked_in_words(results.asked)}; cells: {states}."
        ),
    ]
    if headline.empty:
        parts.append(html.paragraph("No attack of this run was given a radius."))
    else:
        parts.append(html.table(headline_table(results, headline.head(_ROWS))))
        parts += _others(headline, "headline")
        said = verdict_table(headline)
        parts += [html.table(said)] if len(said.frame) else []
    points = curve(Outcomes(results.as_asked()))
    parts += [
        html.drawing(one.content, one.caption) for one in drawn_accuracy(points, headline, to_svg)
    ]
    if len(claims):
        shown = claim_table(claims.head(_ROWS), at_any_time=results.added is not None)
        parts += [html.table(shown), *_others(claims, "claims")]
    return f"<div>{''.join(parts)}</div>"


def _others(found: pd.DataFrame, method: str) -> list[str]:
    """Return a line on the rows that are not shown, if there are any."""
    left = len(found) - _ROWS
    return [html.paragraph(f"{left} more rows: .{method}()")] if left > 0 else []

"""`bench parity`: do the toolkits agree about the same attack?"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from bench.cli.options import plugin_option, results_option, suite_option
from bench.cli.stored import stored

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@suite_option
@results_option
@plugin_option
@click.pass_context
def parity(ctx: click.Context, suite: str, results: Path) -> None:
    """Compare each attack between toolkits; exit 1 where two differ more than they should.

    Reads the suite's last run; computes nothing. The catalogue says what is expected of a pair, and
    each row prints the bound it was held to; two images may always differ. Classes: identical (pictures,
    norms and verdicts), one-ulp (pictures equal but for rounding, and verdict), verdict (the same images
    fall, but for a share: 1 % in most attacks, up to 20 % in random ones), rate (as many fall), norm
    (median norms alike, and as many fall), differs (two algorithms under one name: shown, never judged).
    """
    from bench.cli.display import say
    from bench.report.labels import attack_names
    from bench.report.sections.parity import parity_table
    from bench.trust.checks.parity import parity as compare
    from bench.trust.checks.parity import parity_findings

    run = stored(suite, results)
    compared = compare(run)
    _show(parity_table(compared, attack_names(run)).frame, suite)
    counts = Counter(finding.status for finding in parity_findings(compared))
    parts = [
        f"{counts['pass']} agree as expected",
        f"{counts['fail']} do not",
        f"{counts['warn']} could not be judged",
    ]
    if counts["not applicable"]:
        parts.append(f"{counts['not applicable']} are two algorithms under one name")
    say(f"{len(compared)} pairs: {', '.join(parts)}")
    if counts["fail"]:
        ctx.exit(1)


def _show(table: pd.DataFrame, suite: str) -> None:
    """Print the comparisons; where a line is short, causes by letter, and what is identical as a count."""
    from bench.cli.display import print_list, print_table, say
    from bench.cli.screen import fits, needed, width_of
    from bench.report.formatting import lettered, plural
    from bench.report.sections.parity import identical

    rows = table.to_dict("records")
    if not rows or fits(rows, width_of(sys.stdout)):
        print_table(rows)
        return
    alike = identical(table)
    shown = table[~alike]
    marks = lettered(shown["cause"])
    marked = shown["cause"].map(lambda cause: f" ({marks[cause]})" if cause else "")
    short = shown.assign(expected=shown["expected"] + marked).drop(columns="cause")
    print_table(short.to_dict("records"))
    print_list("Why they agree no further", [(f"({mark})", why) for why, mark in marks.items()])
    if alike.any():
        say(
            f"{plural(int(alike.sum()), 'more comparison')} came out as expected, with the same verdict on "
            f"every image; bench parity --suite {suite} > FILE lists them, as do {needed(rows)} columns"
        )

"""`bench parity`: do the toolkits agree about the same attack?"""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from bench.cli.options import results_option, suite_option
from bench.cli.stored import stored


@click.command()
@suite_option
@results_option
@click.pass_context
def parity(ctx: click.Context, suite: str, results: Path) -> None:
    """Compare each attack between toolkits; exit 1 where two differ more than they should.

    Reads the suite's last run; computes nothing. The catalogue says what is expected of a pair, and
    each row prints the bound it was held to; two images may always differ. Classes: identical (pictures,
    norms and verdicts), one-ulp (pictures equal but for rounding, and verdict), verdict (the same images
    fall, but for a share: 1 % in most attacks, up to 20 % in random ones), rate (as many fall), norm
    (median norms alike, and as many fall), differs (two algorithms under one name: shown, never judged).
    """
    from bench.cli.display import print_table, say
    from bench.report.tables import parity_table
    from bench.trust.parity import parity as compare

    found = stored(suite, results)
    compared = compare(found)
    print_table(parity_table(found, compared).to_dict("records"))
    failed = int((compared["passed"] == False).sum())  # noqa: E712 - null means not judged
    incomparable = int((compared["expected"] == "differs").sum())
    unjudged = int(compared["passed"].isna().sum()) - incomparable
    agree = len(compared) - failed - unjudged - incomparable
    words = [f"{agree} agree as expected", f"{failed} do not", f"{unjudged} could not be judged"]
    if incomparable:
        words.append(f"{incomparable} are two algorithms under one name")
    say(f"{len(compared)} pairs: {', '.join(words)}")
    if failed:
        ctx.exit(1)

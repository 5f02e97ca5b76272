"""`bench claims`: does what a study says hold on the images of its suite?"""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from bench.cli.options import plugin_option, results_option, suite_option
from bench.cli.stored import stored


@click.command()
@suite_option
@results_option
@plugin_option
@click.pass_context
def claims(ctx: click.Context, suite: str, results: Path) -> None:
    """Test the suite's claims on its last run; exit 1 where one cannot be judged at all.

    Prints every comparison, then the claims. Reads what is stored; computes nothing. A claim is
    tested under the attack that the study made and, where models are compared, under the strongest
    of the run that both sides faced; one whose sides were attacked unequally is not judged by that.
    """
    from bench.cli.display import print_table, say
    from bench.cli.screen import fits, width_of
    from bench.measure.outcomes import Outcomes
    from bench.report.formatting import plural
    from bench.report.sections.claims import claim_table
    from bench.report.sections.comparisons import comparison_table, stacked
    from bench.trust.claims import claims as judge
    from bench.trust.comparisons import comparisons

    found = stored(suite, results)
    if not found.claims:
        say(f"suite {found.suite} has no claims; [[claims]] tables in its file make some")
        return
    compared = comparisons(Outcomes(found))
    judged = judge(found, compared)
    table = comparison_table(compared, found.claims)
    if not fits(table.frame.to_dict("records"), width_of(sys.stdout)):
        table = stacked(table)
    print_table(table.frame.to_dict("records"), group=table.columns[0].title)
    click.echo()
    print_table(claim_table(judged).frame.to_dict("records"))
    without = judged["unjudged"] + judged["unequal"]
    unjudged = int((without == judged["comparisons"]).sum())
    claims, made = plural(len(judged), "claim"), plural(len(compared), "comparison")
    say(f"{claims} of {made}: {unjudged} could not be judged")
    if unjudged:
        ctx.exit(1)

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
    Of a study it also says what the printed figures say of each claim.
    """
    from bench.cli.display import print_table, say
    from bench.cli.screen import fits, width_of
    from bench.report.findings import find
    from bench.report.formatting import plural
    from bench.report.measured import measure
    from bench.report.sections.claims import claim_table, what_is_left
    from bench.report.sections.comparisons import comparison_table, stacked
    from bench.suite_files import published_file

    found = stored(suite, results)
    if not found.claims:
        say(f"suite {found.suite} has no claims; [[claims]] tables in its file make some")
        return
    findings = find(found, measure(found), published_file(suite))
    compared, judged = findings.comparisons, findings.claims
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
    left = what_is_left(found, compared)
    if left:
        say(left)
    if unjudged:
        ctx.exit(1)

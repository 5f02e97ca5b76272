"""`bench trust`: can the figures of a run be believed?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from bench.cli.options import (
    complete_models,
    data_option,
    device_option,
    plugin_option,
    results_option,
    suite_option,
    trust_budget_option,
)
from bench.cli.stored import stored

if TYPE_CHECKING:
    import pandas as pd

    from bench.runner.examine import Effort
    from bench.runner.loading import Setting
    from bench.store.results import Results


@click.command()
@suite_option
@results_option
@click.option("--full", is_flag=True, help="Make all checks, in at most 60 % of the attacks' time.")
@click.option(
    "--model", "models", multiple=True, metavar="GLOB", shell_complete=complete_models,
    help="Only models whose name matches; may be given more than once.",
)  # fmt: skip
@trust_budget_option
@device_option
@data_option
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Show also what passed, and what had nothing to check.",
)
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
@click.pass_context
def trust(
    ctx: click.Context, /, suite: str, results: Path, full: bool, models: tuple[str, ...],
    trust_budget: int | None, device: str, data: Path | None, everything: bool, as_json: bool,
) -> None:  # fmt: skip
    """Check whether the figures of the suite's last run can be believed; exit 1 where a check fails.

    Makes the checks of its models and threats that were not made yet (at most 15 % of the time that its
    attacks took, or with --full at most 60 %), attacks those further whose attacks may have been misled, and
    keeps what it found, so that the next report has it. Prints a verdict a model and threat, then what was
    found against them.
    """
    from bench.cli.display import say
    from bench.cli.found import against
    from bench.runner.examine import Effort
    from bench.runner.loading import Setting

    found = stored(suite, results)
    effort = Effort(level="full" if full else "quick", passes=trust_budget)
    examined = _examined(suite, found, Setting(device=device, data=data), models, effort)
    headline, findings, added = _judged(examined)
    for line in added:
        say(line)
    _show(headline, findings, everything, as_json)
    if against(headline, findings, examined):
        ctx.exit(1)


def _examined(
    suite: str, found: Results, setting: Setting, models: tuple[str, ...], effort: Effort
) -> Results:
    """Make the checks of a run and return what it left, with what they found."""
    from bench.cli.display import make_display, say
    from bench.runner.examine import examine
    from bench.runner.stored_plan import plan_again
    from bench.store.results import load_results

    plan = plan_again(suite, found, setting, models, note=say)
    with make_display("plain", as_json=False) as display:
        examined = examine(plan, found.store, found.run, effort, on_event=display)
    if examined.counts is not None:
        say(examined.counts.line())
    return load_results(found.store.root, suite, found.content, examined.run)


def _judged(results: Results) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the headline of a run with its verdicts, what all checks found, and what attacks that were added did."""
    from bench.measure.headline import headline
    from bench.measure.outcomes import Outcomes
    from bench.report.sections.checks import added_lines
    from bench.trust.added_attacks import added_attacks
    from bench.trust.headline_trust import with_trust
    from bench.trust.run_findings import run_findings

    outcomes = Outcomes(results)
    findings = run_findings(outcomes)
    judged = with_trust(headline(outcomes), outcomes, findings)
    return judged, findings, added_lines(added_attacks(outcomes, judged))


def _show(headline: pd.DataFrame, findings: pd.DataFrame, everything: bool, as_json: bool) -> None:
    """Print the verdicts, then the findings: those that are no pass, or all."""
    from bench.cli.display import print_events, print_table
    from bench.report.sections.checks import found_table, trust_table
    from bench.trust.run_findings import TOLD

    shown = ["fail", "warn"] + ["pass", "not applicable"] * everything
    told = findings[findings["status"].isin(shown)]
    if as_json:
        named = [
            "model",
            "norm",
            "eps",
            "eps_text",
            "n",
            "robust_accuracy",
            "low",
            "high",
            "trust",
            "reasons",
        ]
        print_events("trust", headline[named])
        print_events("check", told[[*TOLD]])
        return
    print_table(trust_table(headline).frame.to_dict("records"))
    found = found_table(told, shown).frame
    if len(found):
        click.echo()
    print_table(found.to_dict("records"))

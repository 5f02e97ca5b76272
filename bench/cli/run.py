"""`bench run`: compute what is missing of a suite, then show and report what there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import (
    complete_attacks,
    complete_models,
    complete_toolkits,
    data_option,
    device_option,
    force_option,
    out_option,
    plugin_option,
    results_option,
    suite_option,
)
from bench.cli.run_decide import add_images, decide_options, limits_of
from bench.cli.stored import about
from bench.errors import PrerequisiteError, SpecError, StoreError
from bench.spec import whole

if TYPE_CHECKING:
    from bench.report.findings import Findings
    from bench.report.measured import Measured
    from bench.runner.execute import Scope
    from bench.runner.plan import Plan
    from bench.spec import Suite
    from bench.store.store import Store


@click.command()
@suite_option
@click.option(
    "--model", "models", multiple=True, metavar="GLOB", shell_complete=complete_models,
    help="Only models whose name matches; may be given more than once.",
)  # fmt: skip
@click.option(
    "--attack", "attacks", multiple=True, metavar="GLOB", shell_complete=complete_attacks,
    help="Only attacks whose name matches; may be given more than once.",
)  # fmt: skip
@click.option(
    "--toolkit", "toolkits", multiple=True, metavar="NAME",
    shell_complete=complete_toolkits,
    help="Only this toolkit; may be given more than once.",
)  # fmt: skip
@click.option(
    "--images", metavar="N|all", help="How many images for all attacks, whatever the suite says."
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N",
    help="Another seed than the suite's; its cells are others, kept beside these.",
)  # fmt: skip
@click.option(
    "--eps", multiple=True, metavar="EPS",
    help="Radius of every attack that takes one, such as 8/255, whatever the suite says; may be given "
    "more than once.",
)  # fmt: skip
@click.option(
    "--steps", multiple=True, type=click.IntRange(min=1), metavar="N",
    help="Steps of every attack that takes them, whatever the suite says; may be given more than once.",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(min=1),
    help="Images attacked together, where the suite does not say; other sizes are other cells. "
    "Default: 100, but fewer large images, as 10 of 224x224.",
)  # fmt: skip
@device_option
@data_option
@results_option
@out_option
@force_option
@click.option("--shard", metavar="I/N", help="Compute only the I-th of N shares of the cells.")
@click.option(
    "--overwrite", type=click.Choice(["never", "missing", "failed", "always"]), default="missing",
    show_default=True,
    help="What to compute: nothing, all that is not done, only what failed, or everything again.",
)  # fmt: skip
@click.option(
    "--keep", type=click.Choice(["some", "all"]), default="some", show_default=True,
    help="Which images tried to keep: the first 16 of a cell, or all.",
)  # fmt: skip
@decide_options
@plugin_option
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
@click.option(
    "--display", type=click.Choice(["rich", "plain", "none"]), default=None,
    help="How progress is shown on stderr. Default: rich on a terminal, else plain.",
)  # fmt: skip
@click.pass_context
def run(ctx: click.RichContext, /, suite: str, **options: Any) -> None:
    """Run a suite; the same command again goes on where it stopped.

    Cells that are done are kept, whatever the order or the machine they were made on. At the end
    the headline is printed and the report is written to `reports/` (`--out`), but not over that of a
    run that asked for more.
    """
    options["images"] = _images(options["images"])
    from bench.runner.estimate import estimate
    from bench.runner.execute import execute, todo
    from bench.store.results import load_results

    scope, limits = _scope(options), limits_of(options)
    as_written, asked = _suites(suite, options)
    _check_study(suite)
    store = _store(options["results"], options["dry_run"])
    from bench.cli.display import make_display, say
    from bench.report.findings import find
    from bench.report.measured import measure
    from bench.suite_files import published_file

    hindered = None if options["dry_run"] else _hindered(options["out"])
    if hindered is not None:
        say(f"{hindered}; the headline will be printed all the same")
    with make_display(options["display"], options["as_json"]) as display:
        display.note(f"{asked.title}: loading models and images")
        plan = _planned(asked, as_written, options, display.note)
        wanted = todo(plan, store, scope)
        expected = estimate(plan, store, wanted, anew=scope.anew)
        if options["dry_run"]:
            from bench.cli.planned import print_plan

            print_plan(plan, store, expected, options["as_json"])
            return
        display.begin(plan, expected)
        outcome = execute(plan, store, scope, on_event=display, wanted=wanted)
        last = outcome.run
        if limits is not None:
            last = add_images(plan, store, last, limits, scope, display)
    results = load_results(options["results"], suite, plan.content, last)
    measured = measure(results)
    written = _finish(find(results, measured, published_file(suite)), options)
    if outcome.failed:
        say(f"{len(outcome.failed)} of {len(plan.cells)} cells failed; "
            f"bench show CELL tells why, the same command tries them again")  # fmt: skip
    for why in plan.broken.values():
        say(f"not attacked: {why}")
    doubted = _doubted(measured)
    if outcome.failed or plan.broken or doubted:
        ctx.exit(1)
    if not written:
        ctx.exit(PrerequisiteError.exit_code)


def _scope(options: Mapping[str, Any]) -> Scope:
    """Return which cells are to be computed, having checked it before anything is loaded."""
    from bench.runner.execute import Scope, parse_shard

    parse_shard(options["shard"])
    return Scope(
        overwrite=options["overwrite"], shard=options["shard"], keep_all=options["keep"] == "all"
    )


def _suites(suite: str, options: Mapping[str, Any]) -> tuple[Suite, Suite]:
    """Return a suite as its file says it, and with what the command says in place of its words."""
    from bench.runner.override import Overrides
    from bench.runner.suite import load_suite

    changes = Overrides(
        eps=options["eps"], steps=options["steps"], seed=options["seed"],
        attacks=options["attacks"],
    )  # fmt: skip
    return load_suite(suite), load_suite(suite, changes)


def _check_study(suite: str) -> None:
    """Raise where the report of a study could not be made after the run."""
    from bench.suite_files import published_file

    published = published_file(suite)
    if published is not None:
        from bench.report.study import check_study

        check_study(published)


def _planned(
    asked: Suite, as_written: Suite, options: Mapping[str, Any], note: Callable[[str], None]
) -> Plan:
    from bench.runner.loading import Setting
    from bench.runner.plan import make_plan
    from bench.runner.selection import Selection

    return make_plan(
        asked,
        Selection(
            models=options["models"],
            attacks=options["attacks"],
            toolkits=options["toolkits"],
            images=options["images"],
        ),
        Setting(batch_size=options["batch_size"], device=options["device"], data=options["data"]),
        whole=as_written,
        train=not options["dry_run"],
        note=note,
    )


def _store(results: Path, dry_run: bool) -> Store:
    """Return the store, having tried that it can be written to; a dry run makes and writes nothing."""
    from bench.store.files import check_folder
    from bench.store.store import Store, open_store

    if dry_run:
        there = (results / "store.json").exists()
        return open_store(results, create=False) if there else Store(results)
    store = open_store(results)
    check_folder(results / "runs", "results")
    return store


def _hindered(out: Path) -> str | None:
    """Return why a report cannot be written into a folder; None where it can."""
    from bench.store.files import check_folder

    try:
        check_folder(out, "the report", "--out DIR")
    except PrerequisiteError as error:
        return str(error)
    return None


def _images(text: str | None) -> int | str | None:
    if text is None or text == "all":
        return text
    number = whole(text)
    if not number:
        raise SpecError(f"--images {text}: write a number from 1, or all")
    return number


def _doubted(measured: Measured) -> bool:
    """Say which checks of the run failed, and return whether any did."""
    from bench.cli.display import say

    failed = measured.checks[measured.checks["status"] == "fail"]
    for found in failed.to_dict("records"):
        part = f" of {found['subject']}" if found["subject"] else ""
        say(f"check failed: {found['title']}{part}: {found['sentence']}")
    return not failed.empty


def _finish(findings: Findings, options: dict[str, Any]) -> bool:
    """Print what a run that ended has found, and write its report; return False where it cannot be."""
    from bench.cli.display import say
    from bench.report.sections.claims import what_is_left

    results, measured = findings.results, findings.measured
    for line in results.notes:
        say(line)
    if not options["as_json"]:
        say(about(results))
        if measured.headline.empty and (results.cells["kind"] == "minimal").any():
            say(
                "no robust accuracy: all attacks look for the nearest image, and the suite names no eps; "
                "how far they went is in the report and in its attacks.csv"
            )
    _print_found(findings, options["as_json"])
    undecided = what_is_left(results, findings.comparisons)
    if undecided:
        say(undecided)
    try:
        paths, left = _report(findings, options)
    except StoreError as error:
        say(f"error: {error}")
        return False
    if left is not None:
        say(f"{left} and was left; write with --force, or elsewhere with --out DIR")
    if options["as_json"]:
        named = {kind: [str(path) for path in made] for kind, made in paths.items()}
        event = {"event": "report", "run": results.run, "asked": results.asked, **named}
        click.echo(json.dumps(event | ({} if left is None else {"left": left})))
    for made in paths.values():
        for path in made:
            say(f"wrote {path}")
    return True


def _report(
    findings: Findings, options: dict[str, Any]
) -> tuple[dict[str, list[Path]], str | None]:
    """Write the report of a run, and return its files and why another was left in its place."""
    from bench.report.kept import fuller
    from bench.report.write import write_findings

    formats = ("csv", "pdf")
    left = None if options["force"] else fuller(findings.results, options["out"], formats)
    if left is not None:
        return {}, left
    return write_findings(findings, options["out"], formats), None


def _print_found(findings: Findings, as_json: bool) -> None:
    """Print headline, goals, critical eps, claims, certificates and what checks found."""
    from bench.cli.display import print_events, print_table
    from bench.report.labels import attack_names
    from bench.report.sections.certified import bounds_table, certificate_table
    from bench.report.sections.checks import checks_table
    from bench.report.sections.claims import claim_table
    from bench.report.sections.goals import goal_table
    from bench.report.sections.headline import headline_table
    from bench.report.sections.radius import radius_table

    results, measured = findings.results, findings.measured
    if as_json:
        for event, table in (
            ("headline", measured.headline), ("radius", measured.radii), ("claim", findings.claims),
            ("certificates", measured.certificates),
            ("certified-bounds", measured.certified_bounds), ("check", measured.checks),
        ):  # fmt: skip
            print_events(event, table)
        return
    called = attack_names(results)
    print_table(headline_table(results, measured.headline).frame.to_dict("records"))
    for shown in (
        goal_table(measured.attacks, called), radius_table(measured.radii, called),
        claim_table(findings.claims), certificate_table(measured.certificates),
        bounds_table(measured.certified_bounds), checks_table(measured.checks),
    ):  # fmt: skip
        if len(shown.frame):
            click.echo()
        print_table(shown.frame.to_dict("records"))

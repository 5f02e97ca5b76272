"""`bench run`: compute what is missing of a suite, then show and report what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.found import against, finish
from bench.cli.options import (
    complete_attacks,
    complete_models,
    complete_toolkits,
    device_option,
    force_option,
    out_option,
    plugin_option,
    results_option,
    suite_or_model_option,
    trust_budget_option,
)
from bench.cli.run_decide import add_images, decide_options, limits_of, what_it_would_do
from bench.cli.run_merge import merge_folders, merge_option
from bench.cli.run_model import asked_for, keep, model_options
from bench.cli.run_ray import check_executor, driving, executor_options
from bench.cli.run_workers import computing, narrowing, workers_option
from bench.cli.track import tracker_option
from bench.errors import PrerequisiteError, SpecError
from bench.spec import whole

if TYPE_CHECKING:
    from bench.runner.made_suite import MadeSuite
    from bench.runner.plan import Plan
    from bench.runner.scope import Scope
    from bench.spec import Suite
    from bench.store.store import Store


@click.command()
@suite_or_model_option
@model_options
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
@results_option
@out_option
@force_option
@workers_option
@executor_options
@merge_option
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
@click.option(
    "--trust", type=click.Choice(["off", "quick", "full"]), default="quick", show_default=True,
    help="Which checks of models and threats to make: none, those that take at most 15 % of the attacks' "
    "time, or all (60 %). Those of stored rows are always made.",
)  # fmt: skip
@trust_budget_option
@tracker_option
@plugin_option
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
@click.option(
    "--display", type=click.Choice(["rich", "plain", "none"]), default=None,
    help="How progress is shown on stderr. Default: rich on a terminal, else plain.",
)  # fmt: skip
@click.pass_context
def run(ctx: click.RichContext, /, model: str | None, suite: str | None, **options: Any) -> None:
    """Run a suite, or a few strong attacks on MODEL; the same command again goes on where it stopped.

    MODEL, a name (`bench ls models`) or an address such as timm:resnet18.a1_in1k, goes with --norm and --eps, as
    in `bench run cifar10/cnn --norm linf --eps 8/255`. The suite that is made for it is printed and kept in
    the results folder, where `--suite` finds it by its name.

    Cells that are done are kept, whatever the order or the machine they were made on. At the end
    the headline is printed and the report is written to `reports/` (`--out`), but not over that of a
    run that asked for more.
    """
    options["images"] = _images(options["images"])
    from bench.runner.estimate import estimate
    from bench.runner.examine import Effort, examine
    from bench.runner.execute import execute, todo
    from bench.store.results import load_results

    scope, limits = _scope(options), limits_of(options)
    check_executor(options)
    suite, made, options = asked_for(model, suite, options)
    as_written, asked = _suites(suite, made, options)
    _check_study(suite)
    store = _store(options["results"], options["dry_run"], made)
    from bench.cli.display import make_display, say
    from bench.report.findings import find
    from bench.report.measured import measure
    from bench.suite_files import published_file

    hindered = None if options["dry_run"] else _hindered(options["out"])
    if hindered is not None:
        say(f"{hindered}; the headline will be printed all the same")
    with make_display(options["display"], options["as_json"]) as display:
        conflicts = merge_folders(store, options["merge"], display.note)
        display.note(f"{asked.title}: loading models and images")
        plan = _planned(asked, as_written, options, display.note)
        wanted = todo(plan, store, scope)
        expected = estimate(plan, store, wanted, anew=scope.anew)
        if options["dry_run"]:
            from bench.cli.planned import print_plan

            print_plan(plan, store, expected, options["as_json"])
            if limits is not None:
                say(what_it_would_do(plan, limits))
            return
        display.begin(plan, expected)
        compute = computing(asked, scope, expected.seconds, options)
        outcome = execute(
            plan, store, scope, on_event=display, wanted=wanted, compute=compute
        )  # fmt: skip
        last = outcome.run
        if limits is not None:
            last = add_images(plan, store, last, limits, scope, display, compute)
        effort = Effort(level=options["trust"], passes=options["trust_budget"])
        examined = examine(plan, store, last, effort, scope, on_event=display, compute=compute)
        if examined.counts is not None:
            display.note(examined.counts.line())
    results = load_results(options["results"], suite, plan.content, examined.run)
    measured = measure(results)
    written = finish(find(results, measured, published_file(suite)), {**options, "suite": suite})
    failed = (*outcome.failed, *(examined.outcome.failed if examined.outcome else ()))
    if failed:
        say(f"{len(failed)} of {len(results.cells)} cells failed; "
            f"bench show CELL tells why, the same command tries them again")  # fmt: skip
    for why in plan.broken.values():
        say(f"not attacked: {why}")
    told = against(measured.headline, measured.checks, results)
    if failed or plan.broken or told or conflicts:
        ctx.exit(1)
    if not written:
        ctx.exit(PrerequisiteError.exit_code)


def _scope(options: Mapping[str, Any]) -> Scope:
    """Return which cells are to be computed, having checked this before anything is loaded."""
    from bench.runner.scope import Scope, parse_shard

    parse_shard(options["shard"])
    if options["trust"] == "off" and options["trust_budget"] is not None:
        raise SpecError(
            "--trust-budget goes with --trust quick or full; --trust off adds no attack"
        )
    if options["merge"] and options["dry_run"]:
        raise SpecError("--merge writes into the results folder; --dry-run writes nothing")
    return Scope(
        overwrite=options["overwrite"], shard=options["shard"], keep_all=options["keep"] == "all"
    )


def _suites(suite: str, made: MadeSuite | None, options: Mapping[str, Any]) -> tuple[Suite, Suite]:
    """Return a suite as its file says it, and with what the command says in place of its words."""
    from bench.runner.override import Overrides
    from bench.runner.suite import load_suite, read_suite

    changes = Overrides(
        eps=options["eps"], steps=options["steps"], seed=options["seed"],
        attacks=options["attacks"],
    )  # fmt: skip
    if made is not None:  # its file is written once all else is known to be right
        return read_suite(made.path, made.text), read_suite(made.path, made.text, changes)
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
    from bench.runner.plan import make_plan

    selection, setting = narrowing(options)
    return make_plan(
        asked, selection, driving(setting, options), whole=as_written,
        train=not options["dry_run"], note=note,
    )  # fmt: skip


def _store(results: Path, dry_run: bool, made: MadeSuite | None) -> Store:
    """Return the store, with the suite that was made for a model; a dry run makes and writes nothing.

    It is tried whether the store can be written to.
    """
    from bench.store.files import check_folder
    from bench.store.store import Store, open_store

    if dry_run:
        there = (results / "store.json").exists()
        store = open_store(results, create=False) if there else Store(results)
    else:
        store = open_store(results)
        check_folder(results / "runs", "results")
    if made is not None:
        keep(made, dry_run)
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

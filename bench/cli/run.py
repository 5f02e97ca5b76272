"""`bench run`: compute what is missing of a suite, then show and report what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import (
    complete_attacks,
    complete_models,
    complete_toolkits,
    data_option,
    device_option,
    plugin_option,
    results_option,
    suite_option,
)
from bench.errors import SpecError
from bench.spec import whole

if TYPE_CHECKING:
    import pandas as pd

    from bench.runner.estimate import Estimate
    from bench.runner.plan import Plan
    from bench.store.store import Store

REPORTS = Path("reports")


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
    "--batch-size", type=click.IntRange(min=1), default=100, show_default=True,
    help="Images attacked together; other sizes are other cells.",
)  # fmt: skip
@device_option
@data_option
@results_option
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
    the headline is printed and the report is written to `reports/`.
    """
    images = _images(options["images"])
    if options["plugin"] is not None:
        from bench.registry import load_plugin

        load_plugin(options["plugin"])
    from bench.runner.estimate import estimate
    from bench.runner.execute import execute, parse_shard, todo
    from bench.runner.override import Overrides
    from bench.runner.plan import make_plan
    from bench.runner.suite import load_suite
    from bench.store.store import open_store

    shard = parse_shard(options["shard"])
    asked = load_suite(suite, Overrides(
        eps=options["eps"], steps=options["steps"], seed=options["seed"],
        attacks=options["attacks"],
    ))  # fmt: skip
    from bench.cli.display import make_display, say

    with make_display(options["display"], options["as_json"]) as display:
        display.note(f"{asked.title}: loading models and images")
        plan = make_plan(
            asked, models=options["models"], attacks=options["attacks"],
            toolkits=options["toolkits"], images=images, batch_size=options["batch_size"],
            device=options["device"], data=options["data"], train=not options["dry_run"],
            note=display.note,
        )  # fmt: skip
        store = open_store(options["results"])
        keep_all = options["keep"] == "all"
        wanted = todo(plan, store, options["overwrite"], shard, keep_all)
        expected = estimate(plan, store, wanted)
        if options["dry_run"]:
            _print_plan(plan, store, expected, options["as_json"])
            return
        display.begin(plan, expected)
        outcome = execute(
            plan, store, overwrite=options["overwrite"], shard=options["shard"],
            keep_all=keep_all, on_event=display, wanted=wanted,
        )  # fmt: skip
    _finish(suite, options)
    if outcome.failed:
        say(f"{len(outcome.failed)} of {len(plan.cells)} cells failed; "
            f"bench show CELL tells why, the same command tries them again")  # fmt: skip
    for why in plan.broken.values():
        say(f"not attacked: {why}")
    if outcome.failed or plan.broken:
        ctx.exit(1)


def _images(text: str | None) -> int | str | None:
    if text is None or text == "all":
        return text
    number = whole(text)
    if not number:
        raise SpecError(f"--images {text}: write a number from 1, or all")
    return number


def _print_plan(plan: Plan, store: Store, expected: Estimate, as_json: bool) -> None:
    from bench.cli.display import print_table, say
    from bench.runner.training import counted

    rows: list[dict[str, Any]] = [
        {
            "cell": key,
            "model": cell.model.title(),
            "attack": cell.attack.title(),
            "toolkit": cell.toolkit,
            "surface": cell.surface,
            "images": len(plan.images_of(cell)),
            "state": "to do" if key in expected.seconds
            else ("done" if store.is_done(key) else "not here"),
            "seconds": round(expected.seconds[key], 1) if key in expected.seconds else None,
        }
        for key, cell in plan.cells.items()
    ]  # fmt: skip
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    else:
        print_table(rows)
    for line in plan.left_out:
        say(f"left out: {line}")
    if plan.untrained:
        say(f"to be trained first, and not in this plan yet: {counted(plan.untrained)}, from "
            f"{plan.untrained[0]} to {plan.untrained[-1]}")  # fmt: skip
    say(expected.line())


def _finish(suite: str, options: dict[str, Any]) -> None:
    """Print headline, critical eps, claims and certificates of the run that ended; write its report."""
    from bench.cli.display import print_table, say
    from bench.measure.published import published_file
    from bench.report.certified import certificate_table, sandwich_table
    from bench.report.claims import claim_table
    from bench.report.pdf import write_report
    from bench.report.radius import radius_table
    from bench.report.tables import headline_table, measure, names
    from bench.store.results import load_results

    results = load_results(options["results"], Path(suite).stem)
    measured = measure(results)
    paths = write_report(results, REPORTS, ("csv", "pdf"), published_file(suite), measured)
    if options["as_json"]:
        for event, found in (
            ("headline", measured.headline), ("radius", measured.radii), ("claim", measured.claims),
            ("certificates", measured.certificates), ("sandwich", measured.sandwich),
        ):  # fmt: skip
            for record in _plain(found):
                click.echo(json.dumps({"event": event, **record}, default=str))
        named = {kind: [str(path) for path in made] for kind, made in paths.items()}
        click.echo(json.dumps({"event": "report", **named}))
    else:
        print_table(headline_table(results, measured.headline).to_dict("records"))
        for table in (
            radius_table(measured.radii, names(results)), claim_table(results, measured.claims),
            certificate_table(measured.certificates), sandwich_table(measured.sandwich),
        ):  # fmt: skip
            if len(table):
                click.echo()
            print_table(table.to_dict("records"))
    for made in paths.values():
        for path in made:
            say(f"wrote {path}")


def _plain(found: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows of a frame for JSON, which has no words for NaN and infinity."""
    known = found.notna() & ~found.isin([float("inf")])
    return found.astype(object).where(known, None).to_dict("records")

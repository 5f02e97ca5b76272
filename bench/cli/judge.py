"""`bench judge`: adversarial images that others made, judged as an attack's are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from bench.cli.options import (
    complete_models,
    data_option,
    device_option,
    model_option_option,
    plugin_option,
    results_option,
    same_run,
)
from bench.spec import NORMS

if TYPE_CHECKING:
    import pandas as pd

    from bench.runner.loading import Setting
    from bench.runner.made_suite import MadeSuite
    from bench.store.results import Results


@click.command()
@click.argument("model", shell_complete=complete_models)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--norm", type=click.Choice(NORMS), required=True, help="Norm of the budget.")
@click.option(
    "--eps", required=True, metavar="EPS",
    help="The budget, in units of [0, 1], such as 8/255.",
)  # fmt: skip
@click.option(
    "--split", default="test", show_default=True, metavar="NAME",
    help="The split of the model's data set that the images were made from.",
)  # fmt: skip
@model_option_option
@results_option
@data_option
@device_option
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
@click.pass_context
def judge(ctx: click.Context, /, model: str, file: Path, results: Path, **options: Any) -> None:
    """Judge the adversarial images in FILE on MODEL: clean accuracy and robust accuracy.

    FILE is a .pt (a tensor, or a dictionary as AutoAttack's, torchattacks' or ours), a .npz, a .npy, or a
    folder of PNG with a manifest.csv; nothing in it is unpickled. The images are those of the split in its
    order, or say their places (`index`). One that is not in [0, 1], or over the budget, breaks nothing; one
    that is missing shows nothing. Rows are kept in the results as those of an attack `external`, which a suite
    can name too: name = "external", file = "FILE". The suite that is made of them is kept in the results
    folder, where `--suite` finds it by its name. Exit code 1: there is no valid figure.
    """
    from bench.cli.display import say
    from bench.measure.handed_in import fates
    from bench.report.measured import measure
    from bench.runner.judged_suite import ToJudge, judged_suite
    from bench.runner.loading import Setting
    from bench.spec import ModelRequest

    request = ModelRequest(name=model, options=tuple(options["model_options"].items()))
    wanted = ToJudge(
        model=request, file=file, norm=options["norm"], eps=options["eps"], split=options["split"]
    )
    setting = Setting(device=options["device"], data=options["data"])
    made = judged_suite(wanted, setting, results)
    found = _judged(made, setting, results)
    if found.cells["status"].iloc[0] != "done":
        say(f"error: {found.cells['error'].iloc[0]}")
        ctx.exit(1)
    figures = measure(found).headline
    _show(found, figures, fates(found.rows, wanted.values), options["as_json"])
    same = same_run(found.suite, results)
    say(f"bench report {same} writes the report, bench trust {same} checks the figures")
    if figures["robust_accuracy"].isna().any():
        ctx.exit(1)


def _judged(made: MadeSuite, setting: Setting, results: Path) -> Results:
    """Judge the images, keep the rows, and return what the run left."""
    from bench.cli.display import say
    from bench.runner.execute import execute
    from bench.runner.judged_suite import plan_of
    from bench.runner.made_suite import write
    from bench.store.results import load_results
    from bench.store.store import open_store

    plan = plan_of(made, setting, say)
    store = open_store(results)
    write(made)
    outcome = execute(plan, store)
    return load_results(results, plan.suite.name, run=outcome.run)


def _show(results: Results, figures: pd.DataFrame, counts: dict[str, int], as_json: bool) -> None:
    """Print the accuracies, and what became of the images."""
    from bench.cli.display import print_events, print_table
    from bench.report.sections.headline import headline_table

    if as_json:
        print_events("headline", figures)
        click.echo(json.dumps({"event": "images", "run": results.run, **counts}))
        return
    print_table(headline_table(results, figures).frame.to_dict("records"))
    click.echo()
    print_table(
        [{"images": count, "what became of them": fate} for fate, count in counts.items() if count]
    )
